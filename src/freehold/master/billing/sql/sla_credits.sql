-- name: doubtful
-- The services of a seller that promise something of a month and may not have kept it: a promise was not kept, or nobody
-- spoke for longer than a result stands. With what they cost in the month, term by term, and what was given back already.
SELECT s.id AS subscription, s.instance, t.contract, t.offer, t.amount, t.tax_included, t.category, t.from_day, t.until_day,
       o.availability, o.credits,
       (SELECT CAST(coalesce(sum(c.amount), 0) AS bigint) FROM billing_charge c
        WHERE c.subscription = s.id AND c.kind = 'sla' AND c.month = :month AND c.from_day = t.from_day) AS given,
       (SELECT count(*) FROM billing_charge c
        WHERE c.subscription = s.id AND c.kind = 'sla' AND c.month = :month AND c.from_day = t.from_day) AS parts
FROM (SELECT * FROM billing_subscriptionprice WHERE offer IN (SELECT id FROM sales_offer WHERE availability > 0)) t
JOIN billing_subscription s ON s.id = t.subscription
JOIN billing_contract k ON k.id = t.contract AND k.entity_id = :entity
JOIN sales_offer o ON o.id = t.offer
LEFT JOIN (
  SELECT instance_id, max(CASE WHEN NOT kept OR coalesce(following, :end) - at > :speaks THEN 1 ELSE 0 END) AS doubt
  FROM (
    SELECT instance_id, kept, at, lead(at) OVER (PARTITION BY instance_id, promise ORDER BY at, id) AS following
    FROM monitoring_assessment
    WHERE at >= :since AND at < :end
  ) told
  GROUP BY instance_id
) a ON a.instance_id = s.instance
WHERE t.from_day < :end_day AND t.until_day > :begin_day AND t.amount > 0 AND coalesce(a.doubt, 1) = 1
ORDER BY s.id, t.from_day
