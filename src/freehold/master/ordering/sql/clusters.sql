-- name: cluster
-- A cluster of an instance.
SELECT c.* FROM ordering_cluster c WHERE c.parent_id = :parent AND c.name = :name

-- name: names
-- The clusters of an instance.
SELECT c.id, c.name FROM ordering_cluster c WHERE c.parent_id = :parent

-- name: clusters
-- The clusters of started instances, after one of them; so many.
SELECT c.*, p.tree, p.title AS parent_title, p.project_id
FROM ordering_cluster c
JOIN ordering_instance p ON p.id = c.parent_id
WHERE c.id > :after AND p.wanted = 'started'
ORDER BY c.id
LIMIT :most

-- name: one
-- A cluster of a started instance.
SELECT c.*, p.tree, p.title AS parent_title, p.project_id
FROM ordering_cluster c
JOIN ordering_instance p ON p.id = c.parent_id
WHERE c.id = :id AND p.wanted = 'started'

-- name: members
-- The members of clusters, from one to another, with what their siblings are told of them.
SELECT m.cluster_id, m.instance_id AS id, m.ordinal, m.view, m.former, m.told_at, m.ready_at, m.leaving_at,
       CASE WHEN m.drained_node = i.node_id AND NOT n.open THEN 1 ELSE 0 END AS must_move,
       i.title, i.release_id, i.parameters, i.size, i.revision, i.node_id, n.title AS node, s.name AS site, a.address,
       b.published
FROM ordering_clustermember m
JOIN ordering_instance i ON i.id = m.instance_id
JOIN fleet_node n ON n.id = i.node_id
JOIN fleet_site s ON s.id = n.site_id
LEFT JOIN fleet_partition a ON a.node_id = i.node_id AND a.name = i.partition
LEFT JOIN ordering_publicationrow b
  ON b.id = (SELECT max(id) FROM ordering_publicationrow WHERE instance_id = i.id)
WHERE m.cluster_id >= :first AND m.cluster_id <= :last AND i.wanted <> 'destroyed'
ORDER BY m.cluster_id, m.ordinal

-- name: lock_children
-- Keep what an instance requested from being changed by others until the transaction ends.
SELECT i.id FROM ordering_instance i WHERE i.parent = :parent AND i.wanted <> 'destroyed' ORDER BY i.id

-- name: parent_seed
-- From what the secrets of an instance derive.
SELECT i.seed FROM ordering_instance i WHERE i.id = :id

-- name: add
-- Record a new cluster.
INSERT INTO ordering_cluster
  (id, parent_id, name, product, type, release_id, parameters, constraints, member_size, size, most_down, ready_within,
   leave_within, shares, awaits_ready, is_refused, is_settled, trouble, message, notice, changed_at)
VALUES (:id, :parent, :name, :product, :type, :release, :parameters, :constraints, :member_size, :size, :most_down,
        :ready_within, :leave_within, :shares, :awaits_ready, false, false, '', '', '', :now)

-- name: change
-- Record what is now wanted of a cluster.
UPDATE ordering_cluster
SET release_id = :release, parameters = :parameters, member_size = :member_size, size = :size, most_down = :most_down,
    ready_within = :ready_within, leave_within = :leave_within, shares = :shares, awaits_ready = :awaits_ready, is_refused = :is_refused,
    is_settled = false, trouble = CASE WHEN :is_refused THEN trouble ELSE '' END, message = '', notice = '',
    changed_at = :now
WHERE id = :id

-- name: refuse
-- Note that a member went back.
UPDATE ordering_cluster SET is_refused = true, trouble = :trouble, changed_at = :now WHERE id = :id

-- name: note
-- Note how far a cluster is.
UPDATE ordering_cluster SET is_settled = :is_settled, trouble = :trouble, message = :message, changed_at = :now WHERE id = :id

-- name: notice
-- Note what happened to a cluster on its way.
UPDATE ordering_cluster SET notice = :notice WHERE id = :id

-- name: forget
-- A cluster is requested no more.
DELETE FROM ordering_cluster WHERE id = :id

-- name: forget_members
-- The members of a cluster that is requested no more are instances like others.
DELETE FROM ordering_clustermember WHERE cluster_id = :cluster

-- name: add_member
-- An instance is a member.
INSERT INTO ordering_clustermember (instance_id, cluster_id, ordinal, view, former, told_at, ready_at, leaving_at)
VALUES (:instance, :cluster, :ordinal, '', '', :now, NULL, NULL)

-- name: tell
-- Note what a member is told of its siblings.
UPDATE ordering_clustermember SET view = :view WHERE instance_id = :instance

-- name: change_member
-- Note what a member has to go back to, and since when it is wanted to be something else.
UPDATE ordering_clustermember SET former = :former, told_at = :now WHERE instance_id = :instance

-- name: keep_member
-- A member is ready with what it was told.
UPDATE ordering_clustermember
SET former = '', ready_at = CASE WHEN ready_at IS NULL THEN :now ELSE ready_at END
WHERE instance_id = :instance

-- name: leave
-- A member leaves.
UPDATE ordering_clustermember SET leaving_at = :now, told_at = :now WHERE instance_id = :instance

-- name: end_member
-- A member is none any more.
DELETE FROM ordering_clustermember WHERE instance_id = :instance

-- name: said
-- What is to be said of the clusters of instances.
SELECT c.parent_id AS parent, c.is_settled, c.trouble, c.message, c.notice
FROM ordering_cluster c

-- name: tidy_drained
-- Forget that members were to move from nodes that take new instances again.
UPDATE ordering_clustermember SET drained_node = ''
WHERE drained_node <> '' AND drained_node IN (SELECT n.id FROM fleet_node n WHERE n.open)

-- name: tidy_members
-- Forget the members of clusters of instances that are gone.
DELETE FROM ordering_clustermember WHERE cluster_id IN (
  SELECT c.id FROM ordering_cluster c JOIN ordering_instance p ON p.id = c.parent_id WHERE p.gone_at IS NOT NULL)

-- name: tidy_clusters
-- Forget the clusters of instances that are gone.
DELETE FROM ordering_cluster WHERE parent_id IN (SELECT p.id FROM ordering_instance p WHERE p.gone_at IS NOT NULL)
