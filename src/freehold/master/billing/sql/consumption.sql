-- name: changed
-- The subscriptions of a seller whose terms changed since their use was last added up.
CREATE TEMP TABLE consumption_changed AS
SELECT s.id AS subscription, s.recount_from AS since
FROM billing_subscription s
JOIN billing_contract k ON k.id = s.contract AND k.entity_id = :entity
WHERE s.recount_from IS NOT NULL

-- name: take_changed
-- They are added up now. This comes before their terms are read: who changes one later waits, and says so again.
UPDATE billing_subscription SET recount_from = NULL WHERE id IN (SELECT subscription FROM consumption_changed)

-- name: readings
-- The readings of a seller's subscriptions that moved since they were last added up, and since when.
CREATE TEMP TABLE consumption_reading AS
SELECT s.id AS subscription, c.instance_id AS instance, c.series, c.at, {{each priced ", ": c.$name}},
       CAST(coalesce(r.at, 0) AS bigint) AS since
FROM usage_lastreading c
JOIN ordering_instance i ON i.id = c.instance_id
JOIN billing_subscription s ON s.instance = i.tree
JOIN billing_contract k ON k.id = s.contract AND k.entity_id = :entity
LEFT JOIN billing_meteringcheckpoint r ON r.instance = c.instance_id AND r.series = c.series
WHERE r.at IS NULL OR r.at <> c.at OR {{each priced " OR ": r.$name IS DISTINCT FROM c.$name}}

-- name: stale
-- The subscriptions whose use is to be added up, and since when.
CREATE TEMP TABLE consumption_stale AS
SELECT s.id AS subscription, s.instance AS tree, s.opened_at, CAST(min(o.since) AS bigint) AS since
FROM (SELECT subscription, since FROM consumption_reading
      UNION ALL
      SELECT subscription, since FROM consumption_changed) o
JOIN billing_subscription s ON s.id = o.subscription
GROUP BY s.id, s.instance, s.opened_at

-- name: tell_others
-- Other sellers who were paid for the same services at another time add up what moved, too: a reading may be late.
UPDATE billing_subscription SET recount_from = g.since
FROM (SELECT o.id, CAST(min(r.since) AS bigint) AS since
      FROM consumption_reading r
      JOIN billing_subscription s ON s.id = r.subscription
      JOIN billing_subscription o ON o.instance = s.instance AND o.id <> s.id
      JOIN billing_contract k ON k.id = o.contract AND k.entity_id <> :entity
      GROUP BY o.id) g
WHERE billing_subscription.id = g.id AND (recount_from IS NULL OR recount_from > g.since)

-- name: first_change
-- How many they are, and from which moment on there is something to add up.
SELECT count(*) AS stale, CAST(min(CASE WHEN since < opened_at THEN opened_at ELSE since END) AS bigint) AS since
FROM consumption_stale

-- name: days
-- The first hour of each day of a month, and of the day after it.
CREATE TEMP TABLE consumption_day (day integer PRIMARY KEY, hour bigint NOT NULL)

-- name: add_day
-- One of them.
INSERT INTO consumption_day (day, hour) VALUES (:day, :hour)

-- name: used
-- What they used in a month, all instances of their trees together, by the terms that held, and what that costs. All that
-- one payer used at one price is one quantity; what it costs is shared by use, so that shares sum to the whole.
CREATE TEMP TABLE consumption_used AS
SELECT rated.subscription, rated.meter, rated.from_day, rated.contract, rated.offer, rated.price, rated.tax_included,
       rated.category, rated.account, rated.quantity,
       CASE WHEN rated.quantity = rated.total THEN rated.cost
            ELSE money_share(rated.cost, CAST(rated.until_here AS text), CAST(rated.total AS text))
                 - money_share(rated.cost, CAST(rated.until_here - rated.quantity AS text), CAST(rated.total AS text))
       END AS rated
FROM (
  SELECT used.*,
         CAST(CASE
           WHEN used.total <= 0 THEN 0
           WHEN used.model = 'flat' THEN used.amount
           WHEN used.model = 'unit' THEN
             used.total / used.unit * used.amount
             + (2 * (used.total % used.unit * used.amount) + used.unit) / (2 * used.unit)
           WHEN used.model = 'package' THEN (used.total - 1) / used.unit * used.amount + used.amount
           WHEN used.model = 'volume' THEN
             (SELECT used.total / used.unit * t.amount
                     + (2 * (used.total % used.unit * t.amount) + used.unit) / (2 * used.unit)
              FROM sales_pricetier t
              WHERE t.price_id = used.price AND t.above < used.total AND used.total <= t.until)
           ELSE
             (SELECT sum(part.size / used.unit * part.amount
                         + (2 * (part.size % used.unit * part.amount) + used.unit) / (2 * used.unit))
              FROM (SELECT t.amount,
                           CASE WHEN used.total < t.until THEN used.total ELSE t.until END - t.above AS size
                    FROM sales_pricetier t
                    WHERE t.price_id = used.price AND t.above < used.total) part)
         END AS bigint) AS cost
  FROM (
    SELECT m.*,
           CAST(sum(m.quantity) OVER (PARTITION BY m.subscription, m.contract, m.price) AS bigint) AS total,
           CAST(sum(m.quantity) OVER (PARTITION BY m.subscription, m.contract, m.price ORDER BY m.from_day
                                      ROWS UNBOUNDED PRECEDING) AS bigint) AS until_here
    FROM (
      SELECT h.subscription, h.from_day, h.contract, h.offer, h.tax_included, h.category, h.account,
             p.id AS price, p.meter, p.model, p.amount, p.unit,
             CASE p.meter {{each priced " ": WHEN '$name' THEN h.$name}} END AS quantity
      FROM (
        SELECT t.subscription, t.contract, t.offer, t.list, t.project, t.tax_included, t.category, t.account,
               min(t.from_day) AS from_day,
               {{each priced ", ": CAST(coalesce(sum(u.$name), 0) AS bigint) AS $name}}
        FROM consumption_stale s
        JOIN billing_subscriptionprice t ON t.subscription = s.subscription AND t.from_day < :end_day AND t.until_day > :begin_day
        JOIN consumption_day f ON f.day = CASE WHEN t.from_day > :begin_day THEN t.from_day ELSE :begin_day END
        JOIN consumption_day l ON l.day = CASE WHEN t.until_day < :end_day THEN t.until_day ELSE :end_day END
        JOIN ordering_instance i ON i.tree = s.tree
        JOIN usage_hour u ON u.instance_id = i.id AND u.hour >= f.hour AND u.hour < l.hour
        WHERE s.since < :end_moment
        GROUP BY t.subscription, t.contract, t.offer, t.list, t.project, t.tax_included, t.category, t.account
      ) h
      JOIN sales_price p ON p.list_id = h.list AND p.offer_id = h.offer AND p.kind = 'usage'
    ) m
    WHERE m.quantity > 0
  ) used
) rated

-- name: add_up
-- Note what was used in the month. Who pays for a term changes only on its first day, before anything of it is invoiced.
INSERT INTO billing_consumption
  (subscription, meter, month, from_day, contract, offer, price, tax_included, category, account, quantity, rated,
   billed_quantity, billed, document)
SELECT subscription, meter, :month, from_day, contract, offer, price, tax_included, category, account, quantity, rated,
       0, 0, 0
FROM consumption_used
WHERE 1 = 1
ON CONFLICT (subscription, meter, month, from_day) DO UPDATE SET
  contract = excluded.contract, offer = excluded.offer, price = excluded.price, tax_included = excluded.tax_included,
  category = excluded.category, account = excluded.account, quantity = excluded.quantity, rated = excluded.rated

-- name: take_away
-- What was noted before and is of no term any more was used by nobody.
UPDATE billing_consumption SET quantity = 0, rated = 0
WHERE month = :month AND quantity <> 0
  AND subscription IN (SELECT subscription FROM consumption_stale WHERE since < :end_moment)
  AND NOT EXISTS (SELECT 1 FROM consumption_used u
                  WHERE u.subscription = billing_consumption.subscription AND u.meter = billing_consumption.meter
                    AND u.from_day = billing_consumption.from_day)

-- name: forget_used
-- The month is added up.
DROP TABLE consumption_used

-- name: forget_days
-- The month is added up.
DROP TABLE consumption_day

-- name: roll
-- Remember the readings that are added up now: those that were seen at the beginning, and none that came since.
INSERT INTO billing_meteringcheckpoint (instance, series, at, {{each priced ", ": $name}})
SELECT DISTINCT instance, series, at, {{each priced ", ": $name}}
FROM consumption_reading
WHERE 1 = 1
ON CONFLICT (instance, series) DO UPDATE SET at = excluded.at, {{each priced ", ": $name = excluded.$name}}

-- name: forget_changed
-- All of it is added up.
DROP TABLE consumption_changed

-- name: forget_readings
-- All of it is added up.
DROP TABLE consumption_reading

-- name: forget_stale
-- All of it is added up.
DROP TABLE consumption_stale
