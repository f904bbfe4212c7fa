-- name: all
-- Ids of instances, and how many there are in all.
SELECT i.id, count(*) OVER () AS total
FROM ordering_instance i

-- name: in_state
-- The same where the state matters: what `ordering.status` says of an instance is said here again, for the database.
SELECT i.id, i.state, count(*) OVER () AS total
FROM (
  SELECT i.id, i.project_id, i.parent, i.title, i.product, i.node_id, i.changed_at, i.gone_at, i.revision, o.at AS observed_at,
         CASE
           WHEN i.gone_at IS NOT NULL THEN 'destroyed'
           WHEN i.wanted = 'destroyed' THEN 'destroying'
           WHEN n.silent_since IS NOT NULL THEN 'unreachable'
           WHEN (o.state IS NULL OR o.state = 'waiting' OR o.revision < i.revision) AND s.observed = 'failed' THEN 'failed'
           WHEN o.state IS NULL OR o.state = 'waiting' THEN
             CASE WHEN s.observed = 'building' THEN 'building' ELSE 'waiting' END
           WHEN o.revision >= i.revision AND o.state = i.wanted THEN i.wanted
           WHEN i.wanted = 'stopped' AND o.state = 'started' THEN 'stopping'
           WHEN o.state IN ('started', 'stopped') THEN 'configuring'
           ELSE o.state
         END AS state
  FROM ordering_instance i
  JOIN fleet_node n ON n.id = i.node_id
  LEFT JOIN fleet_supply s ON s.node_id = i.node_id AND s.release_id = i.release_id
  LEFT JOIN ordering_instancerow o
    ON o.id = (SELECT max(id) FROM ordering_instancerow WHERE instance_id = i.id)
) i

-- name: on_node
-- The instances that live on a node.
SELECT i.id, i.partition, i.title, p.name AS project, i.product, r.version, i.wanted, i.host
FROM ordering_instance i
JOIN people_project p ON p.id = i.project_id
JOIN catalog_release r ON r.id = i.release_id
WHERE i.node_id = :node AND i.gone_at IS NULL
ORDER BY i.partition, i.created_at, i.id

-- name: offered
-- Releases that some node offers, each with how many there are in all.
SELECT p.name AS product, r.id AS release, r.version, r.description, r.published_at, count(*) OVER () AS total
FROM catalog_release r
JOIN catalog_product p ON p.id = r.product_id
