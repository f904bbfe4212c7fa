-- name: live
-- The instance of a project with a title that is not being destroyed.
SELECT i.*, r.version
FROM ordering_instance i
JOIN catalog_release r ON r.id = i.release_id
WHERE i.project_id = :project AND i.title = :title AND i.wanted <> 'destroyed'

-- name: destroyed_last
-- The instance of a project with a title whose end was asked for last.
SELECT i.id, i.node_id, i.partition
FROM ordering_instance i
WHERE i.project_id = :project AND i.title = :title AND i.wanted = 'destroyed'
ORDER BY i.created_at DESC LIMIT 1

-- name: insert
-- Record a new instance, unless its project has as many as its quota allows.
INSERT INTO ordering_instance
  (id, project_id, tree, parent, host, title, product, release_id, type, parameters, constraints, requested_state, wanted,
   protected, seed, child_publications, forwarded_publication, awaits_ready, node_id, partition, weight, size, revision, created_at, changed_at
   {{each free_text "": , $name}})
SELECT :id, :project, :tree, :parent, :host, :title, :product, :release, :type, :parameters, :constraints, :requested_state,
       :wanted, :protected, :seed, '{}', 0, :awaits_ready, :node, :partition, :weight, :size, :revision, :now, :now
       {{each free_text "": , :$name}}
WHERE coalesce((SELECT c.instances FROM ordering_instancecount c WHERE c.project_id = :project), 0)
      < coalesce((SELECT q.most FROM people_quotalimit q WHERE q.project_id = :project AND q.name = 'instances'), :usual)
RETURNING id

-- name: count_instances
-- How many instances a project has, those that are being destroyed included.
SELECT c.instances FROM ordering_instancecount c WHERE c.project_id = :project

-- name: count_tree
-- How many instances a tree has.
SELECT count(*) AS instances FROM ordering_instance WHERE tree = :tree AND gone_at IS NULL

-- name: children
-- The instances that another requested and that are not being destroyed, the oldest first.
SELECT i.title, i.product, i.type
FROM ordering_instance i
WHERE i.parent = :parent AND i.wanted <> 'destroyed'
ORDER BY i.created_at, i.id

-- name: declared
-- What an instance may request by the release that it has, and its parameters.
SELECT t.requests, t.request_schema, i.parameters
FROM ordering_instance i
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
WHERE i.id = :id

-- name: reserve
-- Keep a place for an instance that a tree is going to request.
INSERT INTO ordering_reservation (id, tree, product, type, release_id, node_id, partition, weight, made_at)
VALUES (:id, :tree, :product, :type, :release, :node, :partition, :weight, :now)

-- name: reserved
-- Places that are kept in a tree for an instance of a kind; so many.
SELECT v.id, v.node_id AS node, n.site_id AS site
FROM ordering_reservation v
JOIN fleet_node n ON n.id = v.node_id
WHERE v.tree = :tree AND v.product = :product AND v.type = :type
ORDER BY v.id LIMIT :most

-- name: occupied
-- Where the instances of a kind are that another requested, without one of them.
SELECT i.node_id AS node, n.site_id AS site
FROM ordering_instance i
JOIN fleet_node n ON n.id = i.node_id
WHERE i.parent = :parent AND i.product = :product AND i.type = :type AND i.wanted <> 'destroyed' AND i.id <> :besides

-- name: reservations
-- The places that are kept for a tree.
SELECT v.id FROM ordering_reservation v WHERE v.tree = :tree ORDER BY v.id

-- name: unreserve
-- Keep a place no longer.
DELETE FROM ordering_reservation WHERE id = :id RETURNING node_id AS node, partition, weight

-- name: unneeded
-- Trees for which places are kept that are as wanted, or end, or took too long for them; or one of these. A place that
-- was taken in the future was taken by a clock that ran ahead.
SELECT v.tree
FROM ordering_reservation v
WHERE (:tree = '' OR v.tree = :tree)
  AND (v.made_at < :before OR v.made_at > :latest
       OR NOT EXISTS (SELECT 1 FROM ordering_instance i
                      LEFT JOIN ordering_instancerow o
                        ON o.id = (SELECT max(id) FROM ordering_instancerow WHERE instance_id = i.id)
                      WHERE i.tree = v.tree AND i.gone_at IS NULL AND i.wanted <> 'destroyed'
                        AND (o.state IS NULL OR o.state <> i.wanted OR o.revision < i.revision))
       AND NOT EXISTS (SELECT 1 FROM ordering_cluster c
                       JOIN ordering_instance p ON p.id = c.parent_id
                       WHERE p.tree = v.tree AND p.wanted = 'started' AND NOT c.is_settled AND NOT c.is_refused))
GROUP BY v.tree

-- name: tidy_requests
-- Forget, of what was asked of each instance, all but the newest within its project's share of so many bytes.
DELETE FROM ordering_requestrow WHERE id IN (
  SELECT w.id
  FROM (SELECT q.id, i.project_id,
               row_number() OVER (PARTITION BY q.instance_id ORDER BY q.id DESC) AS age,
               sum(length(q.parameters) + 200) OVER (PARTITION BY i.project_id ORDER BY q.id DESC
                                                    ROWS UNBOUNDED PRECEDING) AS until_here
        FROM ordering_requestrow q
        JOIN ordering_instance i ON i.id = q.instance_id) w
  WHERE w.age > 1
    AND w.until_here > 1048576 * coalesce((SELECT l.most FROM people_quotalimit l
                                           WHERE l.project_id = w.project_id AND l.name = 'history'), :usual))

-- name: add_request
-- Append what is now asked of an instance to its history.
INSERT INTO ordering_requestrow (instance_id, at, actor, release_id, parameters, requested_state)
VALUES (:instance, :now, :actor, :release, :parameters, :requested_state)

-- name: change
-- Record what is now wanted of an instance.
UPDATE ordering_instance
SET release_id = :release, parameters = :parameters, size = :size, requested_state = :requested_state, orphaned_at = NULL,
    ends_at = NULL,
    revision = :revision, changed_at = :now
WHERE id = :id AND gone_at IS NULL

-- name: protect
-- Record whether an instance may be destroyed; its node is not told.
UPDATE ordering_instance SET protected = :protected, changed_at = :now WHERE id = :id AND gone_at IS NULL

-- name: set_free_text
-- Record what was said of an instance that its node is not told.
UPDATE ordering_instance SET changed_at = :now{{each free_text "": , $name = :$name}} WHERE id = :id AND gone_at IS NULL

-- name: gone
-- The instances that are to be destroyed and of which their node, having read that, says so.
SELECT i.id, i.project_id, i.tree, i.parent, i.node_id, i.partition, i.weight, i.host
FROM ordering_instance i
WHERE i.wanted = 'destroyed' AND i.gone_at IS NULL
  AND (SELECT CASE WHEN o.revision >= i.revision THEN o.state END FROM ordering_instancerow o
       WHERE o.instance_id = i.id ORDER BY o.id DESC LIMIT 1) = 'destroyed'

-- name: note_gone
-- Note that an instance is gone; of two Masters, one succeeds.
UPDATE ordering_instance SET gone_at = :now WHERE id = :id AND gone_at IS NULL RETURNING id

-- name: show
-- Instances with the last thing their node said of them, their publication and their supply.
SELECT i.id, i.project_id, j.name AS project, i.tree, i.parent, i.host, i.orphaned_at, i.suspended_at,
       (SELECT v.reason FROM ordering_projectsuspension v WHERE v.project_id = i.project_id AND v.lifted_at IS NULL)
         AS barred, i.ends_at, i.protected, i.requested_state, i.title, i.product, r.version, i.release_id,
       i.type, i.parameters, i.constraints, i.size, i.wanted, i.revision, i.created_at, i.changed_at, i.gone_at,
       {{each free_text "": i.$name, }}i.node_id, n.title AS node, n.site_id, n.silent_since, n.stopped, t.name AS site, t.expected_silence, i.partition, a.address,
       o.revision AS observed_revision, o.state AS observed, o.message, o.promises, o.processes, o.at AS observed_at,
       b.published, b.revision AS published_revision,
       s.observed AS software, s.message AS software_message
FROM ordering_instance i
JOIN people_project j ON j.id = i.project_id
JOIN catalog_release r ON r.id = i.release_id
JOIN fleet_node n ON n.id = i.node_id
JOIN fleet_site t ON t.id = n.site_id
LEFT JOIN fleet_partition a ON a.node_id = i.node_id AND a.name = i.partition
LEFT JOIN fleet_supply s ON s.node_id = i.node_id AND s.release_id = i.release_id
LEFT JOIN ordering_instancerow o
  ON o.id = (SELECT max(id) FROM ordering_instancerow WHERE instance_id = i.id)
LEFT JOIN ordering_publicationrow b
  ON b.id = (SELECT max(id) FROM ordering_publicationrow WHERE instance_id = i.id)

-- name: supplied
-- The supply that lets a release run on a node for a project.
SELECT s.id FROM fleet_supply s
WHERE s.release_id = :release AND s.node_id = :node AND s.wanted = 'available'
  AND s.beneficiary IN ('', :project)

-- name: newest_supplied
-- The version of a product published last among those that some node offers to a project: one that a node of them could
-- build, or did not try yet, before those that no node could.
SELECT r.version
FROM catalog_release r
JOIN catalog_product p ON p.id = r.product_id
WHERE p.name = :product
  AND EXISTS (SELECT 1 FROM fleet_supply s
              WHERE s.release_id = r.id AND s.wanted = 'available' AND s.beneficiary IN ('', :project))
ORDER BY CASE WHEN EXISTS (SELECT 1 FROM fleet_supply s
                           WHERE s.release_id = r.id AND s.wanted = 'available' AND s.beneficiary IN ('', :project)
                             AND s.observed <> 'failed') THEN 0 ELSE 1 END,
         r.published_at DESC, r.version DESC
LIMIT 1

-- name: barred
-- Why a project is suspended, if it is.
SELECT j.name, v.reason
FROM ordering_projectsuspension v
JOIN people_project j ON j.id = v.project_id
WHERE v.project_id = :project AND v.lifted_at IS NULL

-- name: lock_tree
-- Keep a tree from being changed by others until the transaction ends.
SELECT i.id FROM ordering_instance i WHERE i.id = :tree

-- name: tree
-- The instances of a tree that are not gone, as far as what is wanted of them goes.
SELECT i.id, i.parent, i.host, i.title, i.node_id, i.requested_state, i.wanted, i.orphaned_at, i.suspended_at, i.ends_at,
       (SELECT v.at FROM ordering_projectsuspension v WHERE v.project_id = i.project_id AND v.lifted_at IS NULL) AS barred_at
FROM ordering_instance i
WHERE i.tree = :tree AND i.gone_at IS NULL
ORDER BY i.created_at, i.id

-- name: want
-- Record what is wanted of one instance of a tree.
UPDATE ordering_instance SET wanted = :wanted, requested_state = :requested_state, revision = :revision, changed_at = :now
WHERE id = :id AND gone_at IS NULL

-- name: parent
-- An instance that requests others.
SELECT i.id, i.project_id, i.tree, i.title, i.parent, i.product, i.type, i.wanted, i.child_publications, i.node_id
FROM ordering_instance i
WHERE i.id = :id AND i.gone_at IS NULL

-- name: unask
-- Note that an instance is not requested any more.
UPDATE ordering_instance SET orphaned_at = :now WHERE id = :id AND orphaned_at IS NULL

-- name: orphans
-- The instances whose time of grace is over; or whether that of one is.
SELECT i.id, i.tree, i.title, i.project_id
FROM ordering_instance i
WHERE i.orphaned_at <= :before AND i.wanted <> 'destroyed' AND (:id = '' OR i.id = :id)
ORDER BY i.orphaned_at

-- name: unlearn_orphans
-- Nothing was requested no more in the future: the clock ran ahead when that was noted.
UPDATE ordering_instance SET orphaned_at = :now WHERE orphaned_at > :latest

-- name: set_end
-- Record when a tree is to be destroyed; or that it is not.
UPDATE ordering_instance SET ends_at = :ends_at, changed_at = :now WHERE id = :id AND gone_at IS NULL

-- name: due_to_end
-- The trees whose time of grace before their end is over; or whether that of one is.
SELECT i.id, i.tree, i.title, i.project_id, i.release_id, i.parameters
FROM ordering_instance i
WHERE i.ends_at <= :now AND i.wanted <> 'destroyed' AND (:id = '' OR i.id = :id)
ORDER BY i.ends_at

-- name: guests
-- How many living shared instances of other trees the hosts of a tree serve, by host.
SELECT h.title, count(*) AS guests
FROM ordering_instance h
JOIN ordering_instance i ON i.host = h.id
WHERE h.tree = :tree AND h.gone_at IS NULL AND i.tree <> h.tree AND i.wanted <> 'destroyed'
GROUP BY h.title

-- name: news
-- Publications of children that their parents were not given yet and wait for no more, after a bookmark; so many.
SELECT b.id AS row_id, i.id, i.parent, i.tree, i.title, b.published
FROM ordering_publicationrow b
JOIN ordering_instance i ON i.id = b.instance_id
WHERE b.id > :bookmark AND i.parent IS NOT NULL AND NOT i.awaits_ready AND i.forwarded_publication < b.id
ORDER BY b.id
LIMIT :most

-- name: awaited
-- The last publications of children that their parents are given when these are ready, after one of them; so many.
SELECT b.id AS row_id, i.id, i.parent, i.tree, i.title, b.published
FROM ordering_instance i
JOIN ordering_publicationrow b
  ON b.id = (SELECT max(id) FROM ordering_publicationrow WHERE instance_id = i.id)
WHERE i.awaits_ready AND i.id > :after AND i.gone_at IS NULL AND i.forwarded_publication < b.id
ORDER BY i.id
LIMIT :most

-- name: withheld
-- The last publication of a child, if its parent was not given it.
SELECT b.id AS row_id, i.id, i.parent, i.tree, i.title, b.published
FROM ordering_instance i
JOIN ordering_publicationrow b
  ON b.id = (SELECT max(id) FROM ordering_publicationrow WHERE instance_id = i.id)
WHERE i.id = :id AND i.forwarded_publication < b.id

-- name: await_ready
-- Note when the parent of an instance is given what that publishes.
UPDATE ordering_instance SET awaits_ready = :awaits_ready WHERE id = :id

-- name: last_publication
-- The highest number of a publication.
SELECT max(id) AS row_id FROM ordering_publicationrow

-- name: note_forwarded_publication
-- Note which publication of a child its parent was given.
UPDATE ordering_instance SET forwarded_publication = :row_id WHERE id = :id AND forwarded_publication < :row_id

-- name: set_restarts
-- Have the services of an instance be started anew.
UPDATE ordering_instance SET restarts = :restarts, revision = :revision, changed_at = :now WHERE id = :id

-- name: set_child_publications
-- Give an instance what those that it requested published.
UPDATE ordering_instance SET child_publications = :child_publications, revision = :revision WHERE id = :id

-- name: forget_child_publication
-- Forget what a former child published.
UPDATE ordering_instance SET child_publications = :child_publications WHERE id = :id

-- name: silent
-- The nodes that obey a lease, and that were silent for longer.
SELECT n.id, n.title, n.project_id, CASE WHEN n.acknowledged_lease > n.lease THEN n.acknowledged_lease ELSE n.lease END AS lease
FROM fleet_node n
WHERE n.lease > 0 AND n.acknowledged_lease > 0 AND n.lost_at IS NULL
  AND (SELECT CASE WHEN c.received_at > g.began_at THEN c.received_at ELSE g.began_at END
       FROM fleet_chain c CROSS JOIN generation_generation g WHERE c.node_id = n.id)
      < :now - 1000 * (CASE WHEN n.acknowledged_lease > n.lease THEN n.acknowledged_lease ELSE n.lease END) - :margin

-- name: returned
-- The nodes that were taken for lost and reported since.
SELECT n.id, n.project_id
FROM fleet_node n
WHERE n.lost_at IS NOT NULL
  AND (SELECT c.received_at FROM fleet_chain c WHERE c.node_id = n.id AND c.epoch = n.epoch) > n.lost_at

-- name: begin_movable
-- What can move, of a node, is to be heard of anew.
UPDATE ordering_instance SET revision = :revision
WHERE node_id = :node AND host IS NULL AND gone_at IS NULL
  AND EXISTS (SELECT 1 FROM catalog_releasetype t
              WHERE t.release_id = ordering_instance.release_id AND t.name = ordering_instance.type AND NOT t.holds_data)

-- name: movable
-- The instances of a node that hold no data and may run elsewhere, with the cluster of those that run as its members.
SELECT i.id, i.project_id, i.title, i.tree, i.parent, i.product, i.type, i.release_id, i.constraints, i.node_id, i.partition,
       i.weight, i.size, CASE WHEN i.wanted = 'started' THEN m.cluster_id END AS cluster
FROM ordering_instance i
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
LEFT JOIN ordering_clustermember m ON m.instance_id = i.id
WHERE i.node_id = :node AND i.host IS NULL AND i.wanted <> 'destroyed' AND i.gone_at IS NULL AND NOT t.holds_data
  AND NOT EXISTS (SELECT 1 FROM ordering_instance g WHERE g.host = i.id AND g.gone_at IS NULL)
ORDER BY i.title

-- name: drain_member
-- Note that a member of a cluster moves from where it is, when that is its turn.
UPDATE ordering_clustermember SET drained_node = :node WHERE instance_id = :instance

-- name: lock_movable
-- Keep the instances of a node from changing until the transaction ends.
SELECT i.id FROM ordering_instance i WHERE i.node_id = :node AND i.gone_at IS NULL ORDER BY i.id

-- name: lock_instance
-- Keep an instance from changing until the transaction ends.
SELECT i.id FROM ordering_instance i WHERE i.id = :id

-- name: staying
-- The instances of a node that hold data, or serve shared ones.
SELECT i.id, i.project_id, i.title
FROM ordering_instance i
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
WHERE i.node_id = :node AND i.host IS NULL AND i.wanted <> 'destroyed' AND i.gone_at IS NULL
  AND (t.holds_data OR EXISTS (SELECT 1 FROM ordering_instance g WHERE g.host = i.id AND g.gone_at IS NULL))
ORDER BY i.title

-- name: moving
-- A service that its owner wants elsewhere.
SELECT i.id, i.project_id, i.title, i.tree, i.parent, i.product, i.type, i.release_id, i.constraints, i.node_id, i.partition,
       i.weight, i.size, i.host,
       n.title AS node, t.holds_data,
       (SELECT r.protected FROM ordering_instance r WHERE r.id = i.tree) AS protected,
       (SELECT count(*) FROM ordering_instance g WHERE g.host = i.id AND g.gone_at IS NULL) AS guests
FROM ordering_instance i
JOIN fleet_node n ON n.id = i.node_id
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
WHERE i.project_id = :project AND i.title = :title AND i.wanted <> 'destroyed' AND i.gone_at IS NULL

-- name: move
-- An instance is on another node now.
UPDATE ordering_instance
SET node_id = :node, partition = :partition, revision = :revision, changed_at = :now
WHERE id = :id AND node_id = :former AND gone_at IS NULL
RETURNING id

-- name: leave
-- What an instance left behind on a node.
INSERT INTO ordering_departure (instance_id, node_id, partition, weight, revision, at)
VALUES (:instance, :node, :partition, :weight, :revision, :now)

-- name: departed
-- Departures of which the node said that nothing is left.
SELECT d.id, d.instance_id, d.node_id, d.partition, d.weight
FROM ordering_departure d
WHERE EXISTS (SELECT 1 FROM ordering_departedrow r WHERE r.instance_id = d.instance_id AND r.node_id = d.node_id)

-- name: departing
-- The nodes on which something of an instance may be left.
SELECT d.node_id FROM ordering_departure d WHERE d.instance_id = :instance

-- name: forget_departure
-- Nothing is left.
DELETE FROM ordering_departure WHERE id = :id RETURNING id

-- name: forget_departed
-- That was taken over.
DELETE FROM ordering_departedrow WHERE instance_id = :instance AND node_id = :node

-- name: add_share
-- A host instance offers places.
INSERT INTO ordering_hostoffer (host_id, release_id, type, beneficiary, free)
VALUES (:host, :release, :type, :beneficiary, :free)

-- name: count_below
-- How many instances there are.
SELECT count(*) AS number FROM ordering_instance i

-- name: hosts
-- The hosts that may take in a shared instance of a project: those where it is to be first, those with most places first.
-- One that is stopped, or that nobody requests any more, serves nobody who does not name it.
SELECT h.host_id AS id, i.node_id AS node, i.partition, i.title, n.title AS node_title, t.name AS site, t.region,
       h.free
FROM ordering_hostoffer h
JOIN ordering_instance i ON i.id = h.host_id
JOIN fleet_node n ON n.id = i.node_id
JOIN fleet_site t ON t.id = n.site_id
WHERE h.release_id = :release AND h.type = :type AND h.beneficiary IN ('', :project) AND i.orphaned_at IS NULL
  AND (i.wanted = 'started' OR (i.wanted = 'stopped' AND :instance <> ''))
  AND NOT EXISTS (SELECT 1 FROM ordering_instance r WHERE r.id = i.tree AND r.ends_at IS NOT NULL)
  AND (:instance = '' OR i.id = :instance
       OR (i.project_id = :project AND i.title IN (:instance, :sibling)))
ORDER BY CASE WHEN h.free > 0 AND (:place = '' OR :place IN (n.id, n.title)) AND (:site = '' OR t.name = :site)
                   AND (:region = '' OR t.region = :region) THEN 0 ELSE 1 END,
         h.free DESC, h.host_id
LIMIT :most

-- name: newest_shared
-- The version of a product published last among those whose hosts take in a project's shared instances.
SELECT r.version
FROM catalog_release r
JOIN catalog_product p ON p.id = r.product_id
WHERE p.name = :product
  AND EXISTS (SELECT 1 FROM ordering_hostoffer h
              JOIN catalog_releasetype t ON t.release_id = h.release_id AND t.host = h.type AND t.name = :type
              WHERE h.release_id = r.id AND h.beneficiary IN ('', :project))
ORDER BY r.published_at DESC, r.version DESC
LIMIT 1

-- name: take_share
-- Take a place on a host.
UPDATE ordering_hostoffer SET free = free - 1 WHERE host_id = :host AND free > 0 RETURNING free

-- name: release_share
-- Give a place on a host back.
UPDATE ordering_hostoffer SET free = free + 1 WHERE host_id = :host

-- name: end_share
-- A host that is gone offers nothing.
DELETE FROM ordering_hostoffer WHERE host_id = :host

-- name: offer
-- Say who may use a host's places.
UPDATE ordering_hostoffer SET beneficiary = :beneficiary
WHERE host_id = :host AND beneficiary <> :beneficiary
RETURNING host_id

-- name: offered
-- To whom a host offers its places, and how many are left.
SELECT beneficiary, free FROM ordering_hostoffer WHERE host_id = :host

-- name: served
-- The shared instances of a host.
SELECT i.id, i.type, i.parameters FROM ordering_instance i
WHERE i.host = :host AND i.wanted <> 'destroyed'

-- name: move_share
-- A host has another release.
UPDATE ordering_hostoffer SET release_id = :release WHERE host_id = :host

-- name: move_served
-- The shared instances of a host follow it to another release.
UPDATE ordering_instance SET release_id = :release WHERE host = :host AND wanted <> 'destroyed'

-- name: history
-- What was asked of an instance, the newest first; so much of it.
SELECT q.at, q.actor, r.id AS release, r.version, q.parameters, q.requested_state
FROM ordering_requestrow q
JOIN catalog_release r ON r.id = q.release_id
WHERE q.instance_id = :instance
ORDER BY q.id DESC
LIMIT :most

-- name: ask_end
-- Nobody wants an instance any more.
UPDATE ordering_instance SET requested_state = 'destroyed', ends_at = NULL WHERE id = :id

-- name: hand_over
-- A tree is another project's.
UPDATE ordering_instance SET project_id = :project WHERE tree = :tree AND gone_at IS NULL

-- name: tidy_observations
-- Forget all but the newest observations of each instance.
DELETE FROM ordering_instancerow WHERE id IN (
  SELECT id
  FROM (SELECT id, row_number() OVER (PARTITION BY instance_id ORDER BY id DESC) AS age FROM ordering_instancerow) forwarded_publication
  WHERE age > :kept)

-- name: tidy_publications
-- Forget all but the newest publications of each instance.
DELETE FROM ordering_publicationrow WHERE id IN (
  SELECT id
  FROM (SELECT id, row_number() OVER (PARTITION BY instance_id ORDER BY id DESC) AS age FROM ordering_publicationrow) forwarded_publication
  WHERE age > :kept)

-- name: thin_requests
-- Forget, of what was asked of an instance, all but the newest within so many bytes.
DELETE FROM ordering_requestrow WHERE id IN (
  SELECT w.id
  FROM (SELECT q.id, row_number() OVER (ORDER BY q.id DESC) AS age,
               sum(length(q.parameters) + 200) OVER (ORDER BY q.id DESC ROWS UNBOUNDED PRECEDING) AS until_here
        FROM ordering_requestrow q
        WHERE q.instance_id = :instance) w
  WHERE w.age > 1 AND w.until_here > :most)

-- name: close_hosts
-- The hosts of a project that serve a product to everyone serve it to their own project only.
UPDATE ordering_hostoffer SET beneficiary = :project
WHERE beneficiary = ''
  AND release_id IN (SELECT r.id FROM catalog_release r WHERE r.product_id = :product)
  AND host_id IN (SELECT i.id FROM ordering_instance i WHERE i.project_id = :project)

-- name: hand_over_hosts
-- The hosts of a tree that is another project's take in new ones of that project only, until it offers them anew.
UPDATE ordering_hostoffer SET beneficiary = :project
WHERE host_id IN (SELECT i.id FROM ordering_instance i WHERE i.tree = :tree AND i.gone_at IS NULL)

-- name: who_know_peers
-- The instances of a tree that are told of its others, without one of them.
SELECT i.id, i.node_id
FROM ordering_instance i
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
WHERE i.tree = :tree AND t.knows_peers AND i.host IS NULL AND i.wanted = 'started' AND i.id <> :besides
ORDER BY i.id

-- name: touch
-- An instance is to be heard of anew by its node.
UPDATE ordering_instance SET revision = :revision WHERE id = :id AND gone_at IS NULL
