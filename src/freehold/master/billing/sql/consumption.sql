-- name: stale
-- The subscriptions of a seller whose counters moved since they were last added up, and since when.
CREATE TEMP TABLE consumption_stale AS
SELECT s.id AS subscription, s.instance AS tree, s.opened_at, CAST(min(coalesce(r.at, 0)) AS bigint) AS since
FROM usage_counter c
JOIN ordering_instance i ON i.id = c.instance_id
JOIN billing_subscription s ON s.instance = i.tree
JOIN billing_contract k ON k.id = s.contract AND k.entity_id = :entity
LEFT JOIN billing_rolled r ON r.instance = c.instance_id AND r.series = c.series
WHERE r.at IS NULL OR r.at <> c.at OR r.cpu_ms IS DISTINCT FROM c.cpu_ms OR r.memory_mb_s IS DISTINCT FROM c.memory_mb_s
   OR r.disk_mb_s IS DISTINCT FROM c.disk_mb_s OR r.network_in IS DISTINCT FROM c.network_in
   OR r.network_out IS DISTINCT FROM c.network_out
GROUP BY s.id, s.instance, s.opened_at

-- name: first_change
-- How many they are, and from which moment on there is something to add up.
SELECT count(*) AS stale, CAST(min(CASE WHEN since < opened_at THEN opened_at ELSE since END) AS bigint) AS since
FROM consumption_stale

-- name: add_up
-- What they used in a month, all instances of their trees together, and what that costs.
INSERT INTO billing_consumption
  (subscription, meter, month, contract, offer, price, tax_included, category, account, quantity, rated,
   billed_quantity, billed, document)
SELECT used.subscription, used.meter, :month, used.contract, used.offer, used.price, used.tax_included, used.category,
       used.account, used.quantity,
       CASE
         WHEN used.quantity <= 0 THEN 0
         WHEN used.model = 'flat' THEN used.amount
         WHEN used.model = 'unit' THEN
           used.quantity / used.unit * used.amount
           + (2 * (used.quantity % used.unit * used.amount) + used.unit) / (2 * used.unit)
         WHEN used.model = 'package' THEN (used.quantity - 1) / used.unit * used.amount + used.amount
         WHEN used.model = 'volume' THEN
           (SELECT used.quantity / used.unit * t.amount
                   + (2 * (used.quantity % used.unit * t.amount) + used.unit) / (2 * used.unit)
            FROM catalog_pricetier t
            WHERE t.price_id = used.price AND t.above < used.quantity AND used.quantity <= t.until)
         ELSE
           (SELECT CAST(sum(part.size / used.unit * part.amount
                            + (2 * (part.size % used.unit * part.amount) + used.unit) / (2 * used.unit)) AS bigint)
            FROM (SELECT t.amount,
                         CASE WHEN used.quantity < t.until THEN used.quantity ELSE t.until END - t.above AS size
                  FROM catalog_pricetier t
                  WHERE t.price_id = used.price AND t.above < used.quantity) part)
       END,
       0, 0, 0
FROM (
  SELECT t.subscription, t.contract, t.offer, t.tax_included, t.category, t.account,
         p.id AS price, p.meter, p.model, p.amount, p.unit,
         CASE p.meter WHEN 'cpu_ms' THEN h.cpu_ms WHEN 'memory_mb_s' THEN h.memory_mb_s
                      WHEN 'disk_mb_s' THEN h.disk_mb_s WHEN 'network_in' THEN h.network_in
                      ELSE h.network_out END AS quantity
  FROM (
    SELECT s.subscription,
           CAST(coalesce(sum(u.cpu_ms), 0) AS bigint) AS cpu_ms,
           CAST(coalesce(sum(u.memory_mb_s), 0) AS bigint) AS memory_mb_s,
           CAST(coalesce(sum(u.disk_mb_s), 0) AS bigint) AS disk_mb_s,
           CAST(coalesce(sum(u.network_in), 0) AS bigint) AS network_in,
           CAST(coalesce(sum(u.network_out), 0) AS bigint) AS network_out
    FROM consumption_stale s
    JOIN ordering_instance i ON i.tree = s.tree
    JOIN usage_hour u ON u.instance_id = i.id AND u.hour >= :first_hour AND u.hour < :end_hour
    WHERE s.since < :end_moment
    GROUP BY s.subscription
  ) h
  JOIN billing_term t ON t.subscription = h.subscription
    AND t.from_day = (SELECT max(l.from_day) FROM billing_term l
                      WHERE l.subscription = h.subscription AND l.from_day < :end_day AND l.until_day > l.from_day)
  JOIN catalog_price p ON p.list_id = t.list AND p.offer_id = t.offer AND p.kind = 'usage'
) used
WHERE used.quantity > 0
ON CONFLICT (subscription, meter, month) DO UPDATE SET quantity = excluded.quantity, rated = excluded.rated

-- name: roll
-- Remember the readings that are added up now.
INSERT INTO billing_rolled (instance, series, at, cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out)
SELECT c.instance_id, c.series, c.at, c.cpu_ms, c.memory_mb_s, c.disk_mb_s, c.network_in, c.network_out
FROM consumption_stale s
JOIN ordering_instance i ON i.tree = s.tree
JOIN usage_counter c ON c.instance_id = i.id
WHERE 1 = 1
ON CONFLICT (instance, series) DO UPDATE SET at = excluded.at, cpu_ms = excluded.cpu_ms,
  memory_mb_s = excluded.memory_mb_s, disk_mb_s = excluded.disk_mb_s, network_in = excluded.network_in,
  network_out = excluded.network_out

-- name: forget_stale
-- All of it is added up.
DROP TABLE consumption_stale
