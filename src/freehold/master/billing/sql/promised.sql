-- name: promised
-- The services of a seller that promise something of a month, with what they cost in it and what was given back already.
SELECT s.id AS subscription, s.instance, t.contract, t.offer, t.amount, t.tax_included, t.category, t.from_day, t.until_day,
       o.availability, o.credits,
       (SELECT CAST(coalesce(sum(c.amount), 0) AS bigint) FROM billing_charge c
        WHERE c.subscription = s.id AND c.kind = 'sla' AND c.month = :month) AS given,
       (SELECT count(*) FROM billing_charge c
        WHERE c.subscription = s.id AND c.kind = 'sla' AND c.month = :month) AS parts
FROM billing_term t
JOIN billing_subscription s ON s.id = t.subscription
JOIN billing_contract k ON k.id = t.contract AND k.entity_id = :entity
JOIN catalog_offer o ON o.id = t.offer AND o.availability > 0
WHERE t.from_day < :end AND t.until_day > :begin AND t.amount > 0
ORDER BY s.id, t.from_day

-- name: silent
-- Whether nobody spoke of an instance in a time.
SELECT count(*) AS results FROM monitoring_assessment WHERE instance_id = :instance AND at >= :begin AND at < :end
