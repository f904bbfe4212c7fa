-- name: broken
-- The promises that are not kept now and of whose service nothing was noticed yet, and since when each is not.
SELECT r.project_id AS project, r.id AS service, r.title, i.title AS part, a.promise, a.message,
       (SELECT min(f.at) FROM monitoring_assessment f
        WHERE f.instance_id = a.instance_id AND f.promise = a.promise AND f.revision >= i.revision
          AND f.id > coalesce((SELECT max(k.id) FROM monitoring_assessment k
                               WHERE k.instance_id = a.instance_id AND k.promise = a.promise AND k.kept), 0)) AS since
FROM monitoring_assessment a
JOIN ordering_instance i ON i.id = a.instance_id
JOIN ordering_instance r ON r.id = i.tree
JOIN fleet_node n ON n.id = i.node_id
WHERE NOT a.kept AND a.at > :recent AND a.revision >= i.revision AND i.wanted = 'started' AND n.silent_since IS NULL
  AND a.id = (SELECT max(b.id) FROM monitoring_assessment b
              WHERE b.instance_id = a.instance_id AND b.promise = a.promise)
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = r.project_id AND c.kind = 'promise.broken' AND c.subject = r.id
                    AND c.ended_at IS NULL)
ORDER BY r.id, i.title, a.promise

-- name: kept_again
-- The services that were noticed as broken and have no promise any more that is not kept, or are another project's by
-- now; those on silent nodes wait.
SELECT c.id, CASE WHEN r.wanted = 'started' AND r.project_id = c.project_id THEN 1 ELSE 0 END AS is_told
FROM notifications_cause c
JOIN ordering_instance r ON r.id = c.subject
WHERE c.kind = 'promise.broken' AND c.ended_at IS NULL
  AND (r.wanted <> 'started' OR r.project_id <> c.project_id
       OR r.id NOT IN (SELECT i.tree FROM monitoring_assessment a
                       JOIN ordering_instance i ON i.id = a.instance_id
                       WHERE NOT a.kept AND a.at > :recent AND a.revision >= i.revision AND i.wanted = 'started'
                         AND a.id = (SELECT max(b.id) FROM monitoring_assessment b
                                     WHERE b.instance_id = a.instance_id AND b.promise = a.promise))
          AND NOT EXISTS (SELECT 1 FROM ordering_instance i
                          JOIN fleet_node n ON n.id = i.node_id
                          WHERE i.tree = r.id AND i.gone_at IS NULL AND n.silent_since IS NOT NULL)
          AND EXISTS (SELECT 1 FROM ordering_instance i
                      JOIN monitoring_assessment a ON a.instance_id = i.id
                      WHERE i.tree = r.id AND a.kept AND a.at > c.opened_at AND a.revision >= i.revision))

-- name: silent
-- The nodes that are silent for longer than is expected, with how many services of how many projects each has.
SELECT n.id AS node, n.title, n.project_id AS project, n.silent_since, t.name AS site,
       (SELECT count(*) FROM ordering_instance i WHERE i.node_id = n.id AND i.gone_at IS NULL) AS services,
       (SELECT count(DISTINCT i.project_id) FROM ordering_instance i
        WHERE i.node_id = n.id AND i.gone_at IS NULL) AS projects
FROM fleet_node n
JOIN fleet_site t ON t.id = n.site_id
WHERE n.silent_since <= :before AND n.silent_since + 1000 * CAST(t.expected_silence AS bigint) <= :now
  AND n.stopped = ''
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = n.project_id AND c.kind = 'node.silent' AND c.subject = n.id
                    AND c.ended_at IS NULL)
ORDER BY n.id

-- name: unreachable
-- The services that are to run on nodes that are not heard, of whose project nothing was noticed yet.
SELECT i.project_id AS project, n.id AS node, n.project_id AS provider, n.silent_since, n.stopped, t.name AS site, i.title
FROM fleet_node n
JOIN fleet_site t ON t.id = n.site_id
JOIN ordering_instance i ON i.node_id = n.id AND i.gone_at IS NULL AND i.wanted = 'started'
WHERE n.silent_since <= :before
  AND (n.stopped <> '' OR n.silent_since + 1000 * CAST(t.expected_silence AS bigint) <= :now)
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = i.project_id AND c.kind = 'services.unreachable' AND c.subject = n.id
                    AND c.ended_at IS NULL)
ORDER BY n.id, i.project_id, i.title

-- name: heard
-- What was noticed of silent nodes that are heard again, or from which all that a project had there is gone.
SELECT c.id, CASE WHEN n.silent_since IS NULL THEN 1 ELSE 0 END AS is_told
FROM notifications_cause c
JOIN fleet_node n ON n.id = c.subject
WHERE c.kind IN ('node.silent', 'services.unreachable') AND c.ended_at IS NULL
  AND (n.silent_since IS NULL
       OR c.kind = 'services.unreachable'
          AND NOT EXISTS (SELECT 1 FROM ordering_instance i
                          WHERE i.node_id = n.id AND i.project_id = c.project_id AND i.gone_at IS NULL
                            AND i.wanted = 'started'))

-- name: stuck
-- The services that were to be started some time ago and are not, part by part, of which nothing was noticed yet.
SELECT r.project_id AS project, r.id AS service, r.title, i.title AS part, i.changed_at, o.message
FROM ordering_instance i
JOIN ordering_instance r ON r.id = i.tree
JOIN fleet_node n ON n.id = i.node_id
LEFT JOIN ordering_instancerow o
  ON o.id = (SELECT max(x.id) FROM ordering_instancerow x WHERE x.instance_id = i.id)
WHERE i.wanted = 'started' AND i.changed_at BETWEEN :since AND :before AND n.silent_since IS NULL
  AND (o.id IS NULL OR o.state <> 'started' OR o.revision < i.revision)
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = r.project_id AND c.kind = 'order.stuck' AND c.subject = r.id
                    AND c.ended_at IS NULL)
ORDER BY r.id, i.title

-- name: done
-- The services that were noticed as stuck and are started by now, are not to be any more, or are another project's.
SELECT c.id, CASE WHEN r.wanted = 'started' AND r.project_id = c.project_id THEN 1 ELSE 0 END AS is_told
FROM notifications_cause c
JOIN ordering_instance r ON r.id = c.subject
WHERE c.kind = 'order.stuck' AND c.ended_at IS NULL
  AND (r.project_id <> c.project_id
       OR NOT EXISTS (SELECT 1 FROM ordering_instance i
                      LEFT JOIN ordering_instancerow o
                        ON o.id = (SELECT max(x.id) FROM ordering_instancerow x WHERE x.instance_id = i.id)
                      WHERE i.tree = r.id AND i.wanted = 'started'
                        AND (o.id IS NULL OR o.state <> 'started' OR o.revision < i.revision)))

-- name: announced
-- The maintenances that are not over, for each project with services on their site, of which nothing was noticed yet.
SELECT DISTINCT i.project_id AS project, m.id, m.begins_at, m.ends_at, m.what, m.announced_at, t.name AS site
FROM monitoring_maintenance m
JOIN fleet_site t ON t.id = m.site_id
JOIN fleet_node n ON n.site_id = t.id
JOIN ordering_instance i ON i.node_id = n.id AND i.gone_at IS NULL
WHERE m.ends_at > :now
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = i.project_id AND c.kind = 'maintenance.announced'
                    AND c.subject = CAST(m.id AS text) AND c.ended_at IS NULL)
ORDER BY m.id, i.project_id

-- name: maintained
-- The maintenances that were told and are over, or were withdrawn, which is told.
SELECT c.id, CASE WHEN m.id IS NULL THEN 1 ELSE 0 END AS is_told
FROM notifications_cause c
LEFT JOIN monitoring_maintenance m ON CAST(m.id AS text) = c.subject
WHERE c.kind = 'maintenance.announced' AND c.ended_at IS NULL AND (m.id IS NULL OR m.ends_at <= :now)

-- name: failed_builds
-- The releases that cannot be built on nodes of a project, of which nothing was noticed yet.
SELECT n.project_id AS project, r.id AS release, p.name AS product, r.version, count(*) AS nodes,
       min(s.observed_at) AS since, max(s.message) AS message
FROM fleet_supply s
JOIN fleet_node n ON n.id = s.node_id
JOIN catalog_release r ON r.id = s.release_id
JOIN catalog_product p ON p.id = r.product_id
WHERE s.wanted = 'available' AND s.observed = 'failed'
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = n.project_id AND c.kind = 'build.failed' AND c.subject = r.id
                    AND c.ended_at IS NULL)
GROUP BY n.project_id, r.id, p.name, r.version
ORDER BY r.id

-- name: built
-- The releases that were noticed as failed and that are built by now, or are not wanted any more.
SELECT c.id,
       CASE WHEN EXISTS (SELECT 1 FROM fleet_supply s JOIN fleet_node n ON n.id = s.node_id
                         WHERE n.project_id = c.project_id AND s.release_id = c.subject AND s.observed = 'available')
            THEN 1 ELSE 0 END AS is_told
FROM notifications_cause c
WHERE c.kind = 'build.failed' AND c.ended_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM fleet_supply s JOIN fleet_node n ON n.id = s.node_id
                  WHERE n.project_id = c.project_id AND s.release_id = c.subject AND s.wanted = 'available'
                    AND s.observed <> 'available')

-- name: said
-- What was said in tickets lately, and which of both sides was told; of silent nodes there are causes of their own.
SELECT m.id, m.at, m.author, m.text, t.id AS ticket, t.title, t.about, t.scope, t.project_id AS project,
       t.provider_id AS provider,
       CASE WHEN EXISTS (SELECT 1 FROM notifications_cause c
                         WHERE c.project_id = t.project_id
                           AND c.key IN ('ticket.answered:' || m.id, 'budget.reached:' || m.id))
            THEN 1 ELSE 0 END AS project_knows,
       CASE WHEN EXISTS (SELECT 1 FROM notifications_cause c
                         WHERE c.project_id = t.provider_id AND c.key = 'ticket.answered:' || m.id)
            THEN 1 ELSE 0 END AS provider_knows
FROM support_message m
JOIN support_ticket t ON t.id = m.ticket_id
WHERE m.at > :since AND substr(t.about, 1, 7) <> 'silent:'
ORDER BY m.id

-- name: issued
-- The documents of a seller that were made since a day, for each project that their customer pays for.
SELECT y.project_id AS project, d.id, d.kind, d.year, d.number, d.gross, d.currency, d.day, d.due_day, e.code, e.name AS seller
FROM billing_document d
JOIN accounting_legalentity e ON e.id = d.entity
JOIN billing_payer y ON y.customer_id = d.customer AND y.seller_id = e.project_id
WHERE d.entity = :entity AND d.day > :since
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = y.project_id AND c.key = 'invoice.issued:' || d.id)
ORDER BY d.id, y.project_id
LIMIT :most

-- name: due
-- The invoices of a seller that are due in some days and not wholly paid: what was paid of a contract pays the oldest first.
SELECT y.project_id AS project, d.id, d.kind, d.year, d.number, d.gross, d.currency, d.day, d.due_day, e.code, e.name AS seller
FROM billing_document d
JOIN accounting_legalentity e ON e.id = d.entity
JOIN billing_payer y ON y.customer_id = d.customer AND y.seller_id = e.project_id
WHERE d.entity = :entity AND d.kind = 'invoice' AND d.gross > 0 AND d.due_day BETWEEN :today AND :soon
  AND (SELECT coalesce(sum(f.gross), 0) FROM billing_document f
       WHERE f.contract = d.contract AND f.kind = 'invoice'
         AND (f.due_day < d.due_day OR f.due_day = d.due_day AND f.id <= d.id))
      > (SELECT coalesce(sum(p.amount), 0) FROM billing_payment p
         WHERE p.contract_id = d.contract AND p.purpose = 'account')
        - (SELECT coalesce(sum(g.gross), 0) FROM billing_document g
           WHERE g.contract = d.contract AND g.kind = 'credit_note')
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = y.project_id AND c.key = 'invoice.due:' || d.id)
ORDER BY d.id, y.project_id
LIMIT :most

-- name: overdue
-- What is owed to a seller since before a day, by contract, for each project that the customer pays for.
SELECT y.project_id AS project, k.contract, k.currency, CAST(k.asked - k.settled AS bigint) AS amount, k.oldest, e.code, e.name AS seller,
       e.stop_days
FROM (SELECT k.id AS contract, k.customer_id AS customer, k.entity_id AS entity, k.currency,
             (SELECT coalesce(sum(d.gross), 0) FROM billing_document d
              WHERE d.contract = k.id AND d.kind = 'invoice' AND d.due_day < :today) AS asked,
             (SELECT coalesce(sum(p.amount), 0) FROM billing_payment p
              WHERE p.contract_id = k.id AND p.purpose = 'account')
             - (SELECT coalesce(sum(d.gross), 0) FROM billing_document d
                WHERE d.contract = k.id AND d.kind = 'credit_note') AS settled,
             (SELECT min(s.due_day) FROM (
                SELECT d.due_day, sum(d.gross) OVER (ORDER BY d.due_day, d.id ROWS UNBOUNDED PRECEDING) AS until_here
                FROM billing_document d WHERE d.contract = k.id AND d.kind = 'invoice') s
              WHERE s.until_here > (SELECT coalesce(sum(p.amount), 0) FROM billing_payment p
                                    WHERE p.contract_id = k.id AND p.purpose = 'account')
                                   - (SELECT coalesce(sum(c.gross), 0) FROM billing_document c
                                      WHERE c.contract = k.id AND c.kind = 'credit_note')) AS oldest
      FROM billing_contract k WHERE k.entity_id = :entity) k
JOIN accounting_legalentity e ON e.id = k.entity
JOIN billing_payer y ON y.customer_id = k.customer AND y.seller_id = e.project_id
WHERE k.asked > k.settled
ORDER BY k.contract, y.project_id

-- name: open_overdue
-- What was noticed as overdue with a seller and goes on.
SELECT c.id, c.project_id AS project, c.subject
FROM notifications_cause c
JOIN billing_contract k ON c.subject = CAST(k.id AS text)
WHERE c.kind = 'invoice.overdue' AND c.ended_at IS NULL AND k.entity_id = :entity

-- name: suspended
-- The projects that are suspended and were not told so.
SELECT v.project_id AS project, v.at, v.reason
FROM ordering_projectsuspension v
WHERE v.lifted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM notifications_cause c
                  WHERE c.project_id = v.project_id AND c.kind = 'project.suspended' AND c.ended_at IS NULL)

-- name: lifted
-- The suspensions that were told of and are over.
SELECT c.id, 1 AS is_told
FROM notifications_cause c
WHERE c.kind = 'project.suspended' AND c.ended_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM ordering_projectsuspension v WHERE v.project_id = c.project_id AND v.lifted_at IS NULL)
