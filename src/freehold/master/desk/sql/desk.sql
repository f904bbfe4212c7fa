-- name: capacity
-- How many nodes a project has, how many of them are heard, what lives there and how many places are free.
SELECT count(*) AS nodes,
       coalesce(sum(CASE WHEN n.silent_since IS NULL AND c.received_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS heard,
       coalesce(sum(CASE WHEN n.open AND n.silent_since IS NULL AND n.lost_at IS NULL AND c.received_at IS NOT NULL
                          AND n.used < n.capacity THEN n.free ELSE 0 END), 0) AS free,
       (SELECT count(*) FROM ordering_instance i JOIN fleet_node h ON h.id = i.node_id
        WHERE h.project_id = :project AND i.gone_at IS NULL) AS services
FROM fleet_node n
LEFT JOIN fleet_chain c ON c.node_id = n.id
WHERE n.project_id = :project

-- name: services
-- The promises that services on the nodes of a project, or on one of them, do not keep, what broke last first. Each promise of an instance is
-- found by one step in the index from the one before it, for the results of each are many.
WITH RECURSIVE settled AS (
  SELECT i.id, i.revision, i.title, i.project_id, n.title AS node, t.name AS site
  FROM fleet_node n
  JOIN fleet_site t ON t.id = n.site_id
  JOIN ordering_instance i ON i.node_id = n.id AND i.gone_at IS NULL
  JOIN ordering_instancerow o ON o.id = (SELECT max(id) FROM ordering_instancerow WHERE instance_id = i.id)
  WHERE n.project_id = :project AND (:node = '' OR n.id = :node) AND n.silent_since IS NULL
    AND i.wanted = 'started' AND o.state = 'started'
    AND o.revision >= i.revision AND o.at < :settled
), named AS (
  SELECT s.id, (SELECT min(a.promise) FROM monitoring_assessment a WHERE a.instance_id = s.id) AS promise FROM settled s
  UNION ALL
  SELECT d.id, (SELECT min(a.promise) FROM monitoring_assessment a WHERE a.instance_id = d.id AND a.promise > d.promise)
  FROM named d
  WHERE d.promise IS NOT NULL
), latest AS (
  SELECT d.id, d.promise,
         (SELECT max(a.id) FROM monitoring_assessment a WHERE a.instance_id = d.id AND a.promise = d.promise) AS last
  FROM named d
  WHERE d.promise IS NOT NULL
)
SELECT l.id, s.title, p.name AS project, l.promise, s.node, s.site,
       (SELECT min(f.at) FROM monitoring_assessment f
        WHERE f.instance_id = l.id AND f.promise = l.promise
          AND f.id > coalesce((SELECT max(k.id) FROM monitoring_assessment k
                               WHERE k.instance_id = l.id AND k.promise = l.promise AND k.kept), 0)) AS since,
       count(*) OVER () AS total
FROM latest l
JOIN monitoring_assessment a ON a.id = l.last
JOIN settled s ON s.id = l.id
JOIN people_project p ON p.id = s.project_id
WHERE NOT a.kept AND a.revision >= s.revision
ORDER BY since DESC, l.last DESC
LIMIT :most

-- name: machines
-- The nodes of a project that are heard and do not keep a promise of their own.
SELECT n.title, t.name AS site, n.promises
FROM fleet_node n
JOIN fleet_site t ON t.id = n.site_id
WHERE n.project_id = :project AND n.silent_since IS NULL AND n.promises LIKE '%"kept": false%'
ORDER BY n.title, n.id

-- name: nodes
-- The nodes of a project on which nothing new can be placed, those that are not heard first, the longest first.
SELECT n.title, t.name AS site, n.open, n.free, n.used, n.capacity, n.lost_at, n.silent_since, n.stopped,
       t.expected_silence, c.received_at AS last_contact,
       (SELECT count(*) FROM ordering_instance i WHERE i.node_id = n.id AND i.gone_at IS NULL) AS services,
       (SELECT count(*) FROM ordering_departure d WHERE d.node_id = n.id) AS leaving,
       count(*) OVER () AS total
FROM fleet_node n
JOIN fleet_site t ON t.id = n.site_id
LEFT JOIN fleet_chain c ON c.node_id = n.id
WHERE n.project_id = :project
  AND (NOT n.open OR n.lost_at IS NOT NULL OR n.silent_since IS NOT NULL OR c.received_at IS NULL OR n.free = 0
       OR n.used >= n.capacity)
ORDER BY CASE WHEN n.silent_since IS NULL THEN 1 ELSE 0 END, n.silent_since, n.title, n.id
LIMIT :most

-- name: builds
-- The releases that cannot be built on nodes of a project, what failed last first.
SELECT s.id, p.name AS product, r.version, n.title AS node, t.name AS site, s.message, s.observed_at AS since,
       count(*) OVER () AS total
FROM fleet_node n
JOIN fleet_site t ON t.id = n.site_id
JOIN fleet_supply s ON s.node_id = n.id
JOIN catalog_release r ON r.id = s.release_id
JOIN catalog_product p ON p.id = r.product_id
WHERE n.project_id = :project AND s.observed = 'failed' AND s.wanted = 'available'
ORDER BY s.observed_at DESC, s.id
LIMIT :most

-- name: tickets
-- The open tickets that the operators of a project are to answer, and in which none of them spoke last; the oldest first.
SELECT k.id, k.title, p.name AS project, m.author, m.at AS since, count(*) OVER () AS total
FROM support_ticket k
JOIN people_project p ON p.id = k.project_id
JOIN support_message m ON m.id = (SELECT max(id) FROM support_message WHERE ticket_id = k.id)
WHERE k.provider_id = :project AND k.closed_at IS NULL AND k.scope = 'operate'
  AND NOT EXISTS (SELECT 1 FROM people_membership w
                  JOIN people_person q ON q.id = w.person_id
                  WHERE w.project_id = :project AND w.role IN ('operator', 'owner') AND q.email = m.author)
ORDER BY m.at, m.id
LIMIT :most

-- name: certificates
-- The last certificates of nodes of a project, and of what lives there, that end before a moment: what ends first, first.
SELECT b.kind, b.title, b.project, b.node, b.not_after, count(*) OVER () AS total
FROM (
  SELECT c.kind, n.title, j.name AS project, n.title AS node, c.subject, c.not_after
  FROM fleet_certificate c
  JOIN fleet_node n ON n.id = c.subject
  JOIN people_project j ON j.id = n.project_id
  WHERE n.project_id = :project AND c.not_after > :after AND c.not_after < :before AND c.revoked_at IS NULL
  UNION ALL
  SELECT c.kind, i.title, j.name AS project, n.title AS node, c.subject, c.not_after
  FROM fleet_certificate c
  JOIN ordering_instance i ON i.id = c.subject AND i.gone_at IS NULL
  JOIN fleet_node n ON n.id = i.node_id
  JOIN people_project j ON j.id = i.project_id
  WHERE n.project_id = :project AND c.not_after > :after AND c.not_after < :before AND c.revoked_at IS NULL
) b
WHERE NOT EXISTS (SELECT 1 FROM fleet_certificate d
                  WHERE d.subject = b.subject AND d.not_after > b.not_after AND d.revoked_at IS NULL)
ORDER BY b.not_after, b.title
LIMIT :most
