-- name: refused
-- What nodes told that could not be true, since the last that a ticket tells of, node by node.
SELECT r.node_id AS node, n.title, n.project_id AS project, count(*) AS items, max(r.id) AS last,
       (SELECT o.items FROM fleet_refusedoverflow o WHERE o.node_id = r.node_id) AS gone
FROM fleet_refuseditem r
JOIN fleet_node n ON n.id = r.node_id
WHERE r.id > :bookmark
  AND r.id > (SELECT coalesce(max(t.until), 0) FROM support_ticket t WHERE t.about = 'refused:' || r.node_id)
GROUP BY r.node_id, n.title, n.project_id
ORDER BY r.node_id

-- name: item
-- One thing that could not be true.
SELECT reason, sequence, received_at FROM fleet_refuseditem WHERE id = :id

-- name: troubled
-- Monthly runs that could not be ended, and those that a ticket still says could not.
SELECT r.id, r.trouble, r.state, e.code, e.project_id AS project
FROM billing_run r
JOIN accounting_legalentity e ON e.id = r.entity_id
WHERE r.trouble <> ''
   OR EXISTS (SELECT 1 FROM support_ticket t WHERE t.about = 'run:' || r.id AND t.closed_at IS NULL)
ORDER BY r.id

-- name: aside
-- The contracts that could not be billed, and those of which that was told and that were billed since.
SELECT k.id, k.trouble, e.code, e.project_id AS project, c.name AS customer
FROM billing_contract k
JOIN accounting_legalentity e ON e.id = k.entity_id
JOIN billing_customer c ON c.id = k.customer_id
WHERE k.trouble <> ''
   OR k.id IN (SELECT CAST(substr(t.about, 10) AS bigint) FROM support_ticket t
               WHERE substr(t.about, 1, 9) = 'contract:' AND t.closed_at IS NULL)

-- name: doubts
-- Whose nodes showed that this Master knows less than it did, and the first that it does not know.
SELECT n.project_id AS project, min(d.reason) AS reason
FROM generation_doubt d
JOIN generation_generation g ON g.value <= d.generation
JOIN fleet_node n ON n.id = d.node
GROUP BY n.project_id

-- name: silent
-- The nodes that are silent for longer than their site expects, and that neither their operator nor a ticket told of.
SELECT n.id, n.title, n.project_id AS project, n.silent_since, t.name AS site
FROM fleet_node n
JOIN fleet_site t ON t.id = n.site_id
WHERE n.silent_since IS NOT NULL AND n.stopped = '' AND n.silent_since + 1000 * CAST(t.expected_silence AS bigint) <= :now
  AND NOT EXISTS (SELECT 1 FROM support_ticket k WHERE k.about = 'silent:' || n.id AND k.closed_at IS NULL)

-- name: heard
-- The nodes of which a ticket says that they are silent, and that are heard again.
SELECT k.about FROM support_ticket k
JOIN fleet_node n ON k.about = 'silent:' || n.id
WHERE substr(k.about, 1, 7) = 'silent:' AND k.closed_at IS NULL AND n.silent_since IS NULL

-- name: providers
-- The projects that run nodes.
SELECT DISTINCT project_id AS project FROM fleet_node ORDER BY project_id

-- name: forgeries
-- The nodes that showed what was never said to them, each with the last time, unless a ticket tells of it.
SELECT f.node, f.reason, n.title, n.project_id AS project
FROM generation_forgery f
JOIN fleet_node n ON n.id = f.node
WHERE f.id IN (SELECT max(id) FROM generation_forgery GROUP BY node)
  AND NOT EXISTS (SELECT 1 FROM support_ticket t WHERE t.about = 'forgery:' || f.node AND t.opened_at >= f.at)
