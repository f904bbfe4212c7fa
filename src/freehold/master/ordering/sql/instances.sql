-- name: live
-- The instance tree of a project with a title that is not being destroyed.
SELECT i.*, r.version
FROM ordering_instance i
JOIN catalog_release r ON r.id = i.release_id
WHERE i.project_id = :project AND i.title = :title AND i.parent IS NULL AND i.wanted <> 'destroyed'

-- name: destroyed_last
-- The instance tree of a project with a title whose end was asked for last.
SELECT i.id, i.node_id, i.partition
FROM ordering_instance i
WHERE i.project_id = :project AND i.title = :title AND i.parent IS NULL AND i.wanted = 'destroyed'
ORDER BY i.created_at DESC LIMIT 1

-- name: insert
-- Record a new instance.
INSERT INTO ordering_instance
  (id, project_id, tree, parent, title, product, release_id, type, parameters, constraints, wanted,
   node_id, partition, weight, revision, created_at, changed_at)
VALUES
  (:id, :project, :tree, :parent, :title, :product, :release, :type, :parameters, :constraints, :wanted,
   :node, :partition, :weight, :revision, :now, :now)

-- name: change
-- Record what is now wanted of an instance.
UPDATE ordering_instance
SET release_id = :release, parameters = :parameters, wanted = :wanted, weight = :weight,
    revision = :revision, changed_at = :now
WHERE id = :id AND gone_at IS NULL

-- name: gone
-- The instances that are to be destroyed and of which their node, having read that, says so.
SELECT i.id, i.project_id, i.node_id, i.partition, i.weight
FROM ordering_instance i
WHERE i.wanted = 'destroyed' AND i.gone_at IS NULL
  AND (SELECT CASE WHEN o.revision >= i.revision THEN o.state END FROM ordering_instancerow o
       WHERE o.instance_id = i.id ORDER BY o.id DESC LIMIT 1) = 'destroyed'

-- name: bury
-- Note that an instance is gone; of two reconcilers, one succeeds.
UPDATE ordering_instance SET gone_at = :now WHERE id = :id AND gone_at IS NULL RETURNING id

-- name: show
-- Instances with the last thing their node said of them, their publication and their supply.
SELECT i.id, i.project_id, j.name AS project, i.tree, i.parent, i.title, i.product, r.version, i.release_id,
       i.type, i.parameters, i.constraints, i.wanted, i.revision, i.created_at, i.changed_at, i.gone_at,
       i.node_id, n.title AS node, t.name AS site, i.partition, a.address,
       o.revision AS observed_revision, o.state AS observed, o.message, o.promises, o.at AS observed_at,
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
-- The version of a product published last among those that some node offers to a project.
SELECT r.version
FROM catalog_release r
JOIN catalog_product p ON p.id = r.product_id
WHERE p.name = :product
  AND EXISTS (SELECT 1 FROM fleet_supply s
              WHERE s.release_id = r.id AND s.wanted = 'available' AND s.beneficiary IN ('', :project))
ORDER BY r.published_at DESC, r.version DESC
LIMIT 1
