-- name: candidates
-- Nodes with a supply of a release and a free partition; `queries.py` says which, and in which order.
SELECT s.node_id AS node, s.free, s.observed, n.title, n.labels, n.cpus, n.memory_mb, n.disk_mb,
       n.architecture, n.capacity - n.used AS capacity_left,
       n.cpus * 100 - n.kept_cpu_percent AS cpu_percent_left, n.memory_mb * 9 / 10 - n.kept_memory_mb AS memory_mb_left,
       n.disk_mb * 9 / 10 - n.kept_disk_mb AS disk_mb_left, t.name AS site, t.id AS site_id, t.region
FROM fleet_supply s
JOIN fleet_node n ON n.id = s.node_id
JOIN fleet_site t ON t.id = s.site_id

-- name: sites
-- The sites that a name means to a project: its own, or that of who owns the product; of others only if neither has one.
SELECT t.id, t.project_id AS owner,
       CASE WHEN t.project_id = :project THEN 0
            WHEN t.project_id = (SELECT p.project_id FROM catalog_release r JOIN catalog_product p ON p.id = r.product_id
                                 WHERE r.id = :release) THEN 1
            ELSE 2 END AS distance
FROM fleet_site t
WHERE t.name = :name
ORDER BY distance, t.id

-- name: nodes
-- The nodes that an id or a title means to a project, in the same order.
SELECT n.id, n.project_id AS owner,
       CASE WHEN n.id = :name THEN -1
            WHEN n.project_id = :project THEN 0
            WHEN n.project_id = (SELECT p.project_id FROM catalog_release r JOIN catalog_product p ON p.id = r.product_id
                                 WHERE r.id = :release) THEN 1
            ELSE 2 END AS distance
FROM fleet_node n
WHERE n.id = :name OR n.title = :name
ORDER BY distance, n.id

-- name: overview
-- How many supplies of a release there are for a project, and what keeps them from being candidates.
SELECT count(*) AS supplies,
       count(CASE WHEN s.wanted <> 'available' THEN 1 END) AS leaving,
       count(CASE WHEN s.wanted = 'available' AND NOT n.open THEN 1 END) AS closed,
       count(CASE WHEN s.wanted = 'available' AND n.open AND n.silent_since IS NOT NULL THEN 1 END) AS silent,
       count(CASE WHEN s.wanted = 'available' AND n.open AND n.silent_since IS NULL AND n.used >= n.capacity
                  THEN 1 END) AS no_capacity,
       count(CASE WHEN s.wanted = 'available' AND n.open AND n.silent_since IS NULL AND n.used < n.capacity AND n.free = 0
                  THEN 1 END) AS no_partition
FROM fleet_supply s
JOIN fleet_node n ON n.id = s.node_id
WHERE s.release_id = :release AND s.beneficiary IN ('', :beneficiary)
