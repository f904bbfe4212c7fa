-- name: sold
-- What a product and type are sold as by those who may sell it (or one of these offers), who would pay for a project, and each price that holds in a region on a day.
SELECT o.id AS offer, o.name, o.project_id AS seller, CASE WHEN o.project_id = c.project_id THEN 1 ELSE 0 END AS is_owner,
       o.tax_category, y.project_id AS payer, y.customer_id AS customer, k.currency AS preferred,
       l.id AS list, l.entity_id AS entity, e.time_zone, l.currency, l.region, l.tax_included, p.kind, p.amount,
       CASE WHEN o.account <> '' THEN o.account ELSE a.code END AS account
FROM sales_offer o
JOIN catalog_product c ON c.name = o.product
LEFT JOIN billing_payer y ON y.project_id = :project AND y.seller_id = o.project_id
LEFT JOIN billing_customer k ON k.id = y.customer_id
LEFT JOIN sales_pricelist l ON l.published_at IS NOT NULL
  AND l.region IN ('', coalesce(CAST(:region AS text),
                                (SELECT t.region FROM fleet_node n JOIN fleet_site t ON t.id = n.site_id WHERE n.id = :node)))
  AND (l.from_day <= :day AND l.until_day > :day OR l.id = :list)
  AND EXISTS (SELECT 1 FROM sales_price p WHERE p.list_id = l.id AND p.offer_id = o.id)
LEFT JOIN sales_price p ON p.list_id = l.id AND p.offer_id = o.id
LEFT JOIN accounting_legalentity e ON e.id = l.entity_id
LEFT JOIN accounting_account a ON a.entity_id = l.entity_id AND a.purpose = 'revenue'
WHERE o.product = :product AND o.type = :type AND o.retired_at IS NULL
  AND (:offer = '' OR o.id = :offer)
  AND (o.project_id = c.project_id
       OR EXISTS (SELECT 1 FROM catalog_sellinggrant g WHERE g.product_id = c.id AND g.project_id = o.project_id))
ORDER BY o.name, o.id, l.region DESC, l.currency, p.kind

-- name: money
-- What came from and was asked of a contract, and what its living services must leave as a deposit.
SELECT
  (SELECT CAST(coalesce(sum(amount), 0) AS bigint) FROM billing_payment
   WHERE contract_id = :contract AND purpose = 'deposit') AS deposit,
  (SELECT CAST(coalesce(sum(carried), 0) AS bigint) FROM billing_payment
   WHERE contract_id = :contract AND purpose = 'deposit') AS deposit_functional,
  (SELECT CAST(coalesce(sum(amount), 0) AS bigint) FROM billing_payment
   WHERE contract_id = :contract AND purpose = 'account') AS paid,
  (SELECT CAST(coalesce(sum(carried), 0) AS bigint) FROM billing_payment
   WHERE contract_id = :contract AND purpose = 'account') AS paid_functional,
  (SELECT CAST(coalesce(sum(gross), 0) AS bigint) FROM billing_document WHERE contract = :contract) AS billed,
  (SELECT CAST(coalesce(sum(functional), 0) AS bigint) FROM billing_document WHERE contract = :contract)
    AS billed_functional,
  (SELECT CAST(coalesce(sum(deposit), 0) AS bigint) FROM billing_subscription
   WHERE contract = :contract AND state IN ('pending', 'active')) AS held

-- name: lock_contract
-- Keep others from ordering on a contract until the transaction ends.
SELECT k.id FROM billing_contract k WHERE k.id = :contract

-- name: contract
-- The contract of a customer with a seller in a currency, and whether it is known how what is sold is taxed.
SELECT k.id, EXISTS (SELECT 1 FROM billing_taxrule r
                     WHERE r.country = k.entity_id
                        OR r.country = (SELECT e.country FROM accounting_legalentity e WHERE e.id = k.entity_id)) AS is_taxed
FROM billing_contract k WHERE k.customer_id = :customer AND k.entity_id = :entity AND k.currency = :currency

-- name: open
-- A service is paid for from when it is ready.
INSERT INTO billing_subscription (instance, project, contract, offer, state, deposit, quote, opened_at, start_day, end_day)
VALUES (:instance, :project, :contract, :offer, 'pending', :deposit, :quote, :now, NULL, NULL)
RETURNING id

-- name: add_term
-- What a subscription costs from a day on.
INSERT INTO billing_subscriptionprice
  (subscription, project, contract, offer, list, from_day, until_day, amount, tax_included, category, account)
VALUES (:subscription, :project, :contract, :offer, :list, :from_day, :until_day, :amount, :tax_included, :category, :account)

-- name: add_charge
-- Something that is asked once.
INSERT INTO billing_charge
  (contract, subscription, kind, label, offer, month, from_day, day, amount, tax_included, category, account, evidence,
   part, document)
VALUES (:contract, :subscription, :kind, :label, :offer, :month, :from_day, :day, :amount, :tax_included, :category, :account,
        :evidence, :part, 0)

-- name: of_instance
-- The subscription of an instance that is not over.
SELECT s.id, s.state, s.contract, s.offer, s.start_day, k.entity_id AS entity, e.time_zone
FROM billing_subscription s
JOIN billing_contract k ON k.id = s.contract
JOIN accounting_legalentity e ON e.id = k.entity_id
WHERE s.instance = :instance AND s.state IN ('pending', 'active')

-- name: pending
-- What was ordered, was not ready yet, and runs now; so many, after an id.
SELECT s.id, s.instance, s.contract, s.offer, e.time_zone, i.wanted
FROM billing_subscription s
JOIN billing_contract k ON k.id = s.contract
JOIN accounting_legalentity e ON e.id = k.entity_id
JOIN ordering_instance i ON i.id = s.instance
WHERE s.state = 'pending' AND s.id > :after
  AND (SELECT o.state FROM ordering_instancerow o WHERE o.instance_id = s.instance ORDER BY o.id DESC LIMIT 1) = 'started'
ORDER BY s.id
LIMIT :most

-- name: activate
-- A service is ready for the first time.
UPDATE billing_subscription SET state = 'active', start_day = :day WHERE id = :subscription AND state = 'pending' RETURNING id

-- name: begin_term
-- Its price holds from that day on.
UPDATE billing_subscriptionprice SET from_day = :day, until_day = :never WHERE subscription = :subscription AND until_day = from_day

-- name: state
-- What a subscription is.
SELECT state FROM billing_subscription WHERE id = :subscription

-- name: finish
-- A service is over.
UPDATE billing_subscription SET state = :state, end_day = :day WHERE id = :subscription AND state IN ('pending', 'active')
RETURNING id

-- name: end_term
-- Its price holds no more from a day on.
UPDATE billing_subscriptionprice SET until_day = CASE WHEN from_day > :day THEN from_day ELSE :day END
WHERE subscription = :subscription AND until_day > :day

-- name: recount
-- Its use is to be added up anew from a moment on: what it costs, or who pays, changed.
UPDATE billing_subscription SET recount_from = :since
WHERE id = :subscription AND (recount_from IS NULL OR recount_from > :since)

-- name: offers
-- The prices of the offers of all sellers that hold on a day, with what they are of: so many offers at a price list,
-- in their order after one of them.
SELECT o.id AS offer, o.project_id AS project, o.name, o.product, o.type, o.titles, o.size, o.availability, o.credits, o.tax_category,
       l.id AS list, l.currency, l.region, l.tax_included, l.from_day, l.until_day, e.code AS seller, e.name AS seller_name,
       e.country, p.id AS price, p.kind, p.meter, p.model, p.amount, p.unit
FROM (SELECT DISTINCT o.name, l.region, l.currency, o.id AS offer, l.id AS list
      FROM sales_offer o
      JOIN sales_price p ON p.offer_id = o.id
      JOIN sales_pricelist l ON l.id = p.list_id
      JOIN catalog_product c ON c.name = o.product
      WHERE o.retired_at IS NULL AND l.published_at IS NOT NULL AND l.from_day <= :day AND l.until_day > :day
        AND (o.project_id = c.project_id
             OR EXISTS (SELECT 1 FROM catalog_sellinggrant g
                        WHERE g.product_id = c.id AND g.project_id = o.project_id))
        AND (:project = '' OR o.project_id = :project)
        AND (:product = '' OR (o.product = :product AND o.type = :type))
        AND (o.name, l.region, l.currency, o.id, l.id) > (:name, :region, :currency, :offer, :list)
      ORDER BY o.name, l.region, l.currency, o.id, l.id
      LIMIT :most OFFSET :start) part
JOIN sales_offer o ON o.id = part.offer
JOIN sales_pricelist l ON l.id = part.list
JOIN sales_price p ON p.offer_id = o.id AND p.list_id = l.id
JOIN accounting_legalentity e ON e.id = l.entity_id
ORDER BY o.name, l.region, l.currency, o.id, l.id, p.kind, p.meter

-- name: count_offers
-- How many offers at a price list hold on a day.
SELECT count(*) AS number
FROM (SELECT DISTINCT o.id AS offer, l.id AS list
      FROM sales_offer o
      JOIN sales_price p ON p.offer_id = o.id
      JOIN sales_pricelist l ON l.id = p.list_id
      JOIN catalog_product c ON c.name = o.product
      WHERE o.retired_at IS NULL AND l.published_at IS NOT NULL AND l.from_day <= :day AND l.until_day > :day
        AND (o.project_id = c.project_id
             OR EXISTS (SELECT 1 FROM catalog_sellinggrant g
                        WHERE g.product_id = c.id AND g.project_id = o.project_id))) held

-- name: offer_place
-- Where an offer at a price list stands in their order.
SELECT o.name, l.region, l.currency, o.id AS offer, l.id AS list
FROM sales_offer o
JOIN accounting_legalentity e ON e.project_id = o.project_id
JOIN sales_pricelist l ON l.entity_id = e.id
WHERE e.code = :seller AND o.name = :name AND l.id = :list

-- name: documents
-- Documents of contracts, with what invoices ask up to each and what settles them: payments and credit notes, the oldest first.
SELECT d.*, e.code, e.name AS seller, e.currency AS functional_currency, e.time_zone,
       (SELECT b.at FROM accounting_entry n JOIN accounting_batch b ON b.id = n.batch
        WHERE n.source = 'document:' || d.id AND n.purpose = 'issue') AS issued_at
FROM (SELECT o.*,
             (SELECT CAST(coalesce(sum(b.gross), 0) AS bigint) FROM billing_document b
              WHERE b.contract = o.contract AND b.kind = 'invoice'
                AND (b.due_day < o.due_day OR b.due_day = o.due_day AND b.id <= o.id)) AS until_here,
             (SELECT CAST(coalesce(sum(p.amount), 0) AS bigint) FROM billing_payment p
              WHERE p.contract_id = o.contract AND p.purpose = 'account')
             - (SELECT CAST(coalesce(sum(c.gross), 0) AS bigint) FROM billing_document c
                WHERE c.contract = o.contract AND c.kind = 'credit_note') AS settled
      FROM billing_document o) d
JOIN accounting_legalentity e ON e.id = d.entity

-- name: count_documents
-- How many documents there are.
SELECT count(*) AS number
FROM (SELECT o.*,
             (SELECT CAST(coalesce(sum(b.gross), 0) AS bigint) FROM billing_document b
              WHERE b.contract = o.contract AND b.kind = 'invoice'
                AND (b.due_day < o.due_day OR b.due_day = o.due_day AND b.id <= o.id)) AS until_here,
             (SELECT CAST(coalesce(sum(p.amount), 0) AS bigint) FROM billing_payment p
              WHERE p.contract_id = o.contract AND p.purpose = 'account')
             - (SELECT CAST(coalesce(sum(c.gross), 0) AS bigint) FROM billing_document c
                WHERE c.contract = o.contract AND c.kind = 'credit_note') AS settled
      FROM billing_document o) d

-- name: accounts
-- The money of whoever pays for a project, by seller and currency: only of those who pay for no other project.
SELECT k.id AS contract, e.name AS seller, k.currency
FROM billing_payer y
JOIN billing_contract k ON k.customer_id = y.customer_id
JOIN accounting_legalentity e ON e.id = k.entity_id AND e.project_id = y.seller_id
WHERE y.project_id = :project
  AND NOT EXISTS (SELECT 1 FROM billing_payer o WHERE o.customer_id = y.customer_id AND o.project_id <> :project)
  AND NOT EXISTS (SELECT 1 FROM billing_subscription s WHERE s.contract = k.id AND s.project <> :project)
  AND NOT EXISTS (SELECT 1 FROM billing_subscriptionprice t WHERE t.contract = k.id AND t.project <> :project)
ORDER BY e.name, k.currency, k.id

-- name: unpaid
-- The invoices of a seller with what came before them: what was paid of a contract pays the oldest first.
SELECT d.contract, d.customer, c.name, d.id, d.kind, d.year, d.number, d.day, d.due_day, d.currency, d.gross,
       CAST(sum(d.gross) OVER (PARTITION BY d.contract ORDER BY d.due_day, d.id) AS bigint) AS until_here,
       (SELECT CAST(coalesce(sum(p.amount), 0) AS bigint) FROM billing_payment p
        WHERE p.contract_id = d.contract AND p.purpose = 'account') AS paid
FROM billing_document d
JOIN billing_customer c ON c.id = d.customer
WHERE d.entity = :entity
ORDER BY c.name, d.contract, d.due_day, d.id

-- name: setup
-- What an offer costs once, by a price list.
SELECT p.amount FROM sales_price p WHERE p.list_id = :list AND p.offer_id = :offer AND p.kind = 'setup'

-- name: costs
-- What a project's services cost by the terms that held for it, as far as no document may have it yet, the oldest first.
SELECT * FROM (
  SELECT t.subscription, t.contract, i.title, o.name AS offer, s.state, k.currency, t.tax_included, t.amount, t.from_day,
         t.until_day, k.next_day, e.time_zone,
         (SELECT CAST(coalesce(sum(c.rated - c.billed), 0) AS bigint) FROM billing_consumption c
          WHERE c.subscription = t.subscription AND c.from_day = t.from_day)
         + (SELECT CAST(coalesce(sum(c.amount), 0) AS bigint) FROM billing_charge c
            WHERE c.subscription = t.subscription AND c.kind <> 'agreed' AND c.from_day = t.from_day AND c.document = 0) AS used
  FROM billing_subscriptionprice t
  JOIN billing_subscription s ON s.id = t.subscription
  JOIN ordering_instance i ON i.id = s.instance
  JOIN billing_contract k ON k.id = t.contract
  JOIN accounting_legalentity e ON e.id = k.entity_id
  JOIN sales_offer o ON o.id = t.offer
  WHERE t.project = :project AND s.state <> 'cancelled'
) c
WHERE state = 'pending' OR used <> 0 OR until_day > from_day AND until_day > next_day - 32
ORDER BY title, subscription, from_day

-- name: vat
-- The tax of a seller's documents in a time, by rate, in the documents' currencies.
SELECT t.code, t.rate, r.tax_class, d.currency, count(*) AS documents, CAST(sum(t.base) AS bigint) AS base,
       CAST(sum(t.tax) AS bigint) AS tax
FROM billing_document d
JOIN billing_documenttax t ON t.document = d.id
JOIN billing_taxrule r ON r.id = t.rule
WHERE d.entity = :entity AND d.day BETWEEN :since AND :until
GROUP BY t.code, t.rate, r.tax_class, d.currency
ORDER BY t.code, t.rate, r.tax_class, d.currency

-- name: revenue
-- What a seller's documents of a time ask without tax, by offer, kind and site.
SELECT coalesce(o.name, '') AS offer, l.kind, coalesce(t.name, '') AS site, d.currency, CAST(sum(l.net) AS bigint) AS net
FROM billing_document d
JOIN billing_documentline l ON l.document = d.id
LEFT JOIN sales_offer o ON o.id = l.offer
LEFT JOIN billing_subscription s ON s.id = l.subscription
LEFT JOIN ordering_instance i ON i.id = s.instance
LEFT JOIN fleet_node n ON n.id = i.node_id
LEFT JOIN fleet_site t ON t.id = n.site_id
WHERE d.entity = :entity AND d.day BETWEEN :since AND :until
GROUP BY coalesce(o.name, ''), l.kind, coalesce(t.name, ''), d.currency
ORDER BY 1, 2, 3, 4

-- name: cost_items
-- What a month of each offer costs at a site on a day, item by item.
SELECT t.id AS site, t.region, c.offer, c.kind, c.currency, c.amount, c.from_day, c.evidence, c.note
FROM billing_costitem c
JOIN fleet_site t ON t.id = c.site_id
WHERE t.id = :site AND c.from_day = (SELECT max(l.from_day) FROM billing_costitem l
                    WHERE l.site_id = c.site_id AND l.offer = c.offer AND l.kind = c.kind AND l.from_day <= :day)
ORDER BY c.offer, c.id

-- name: overdue
-- The contracts whose invoices due before a day ask for more than settles invoices: payments and credit notes.
SELECT k.id AS contract
FROM (SELECT k.id, k.entity_id,
             (SELECT coalesce(sum(d.gross), 0) FROM billing_document d
              WHERE d.contract = k.id AND d.kind = 'invoice' AND d.due_day < :before) AS asked,
             (SELECT coalesce(sum(p.amount), 0) FROM billing_payment p WHERE p.contract_id = k.id AND p.purpose = 'account')
             - (SELECT coalesce(sum(d.gross), 0) FROM billing_document d WHERE d.contract = k.id AND d.kind = 'credit_note')
               AS settled
      FROM billing_contract k) k

-- name: living
-- The services of a contract.
SELECT instance FROM billing_subscription WHERE contract = :contract AND state IN ('pending', 'active') ORDER BY id

-- name: held_back
-- The contracts of a seller with services that are stopped because they are not paid for.
SELECT DISTINCT s.contract
FROM ordering_instance i
JOIN billing_subscription s ON s.instance = i.id AND s.state IN ('pending', 'active')
JOIN billing_contract k ON k.id = s.contract
WHERE i.suspended_at IS NOT NULL AND k.entity_id = :entity

-- name: waited_for
-- The oldest invoice that is not wholly paid, of each seller and whoever pays them for a project: oldest are paid first.
SELECT e.name, e.time_zone, e.stop_days,
       (SELECT min(s.due_day) FROM (
          SELECT d.due_day, sum(d.gross) OVER (ORDER BY d.due_day, d.id ROWS UNBOUNDED PRECEDING) AS until_here
          FROM billing_document d WHERE d.contract = k.id AND d.kind = 'invoice') s
        WHERE s.until_here > (SELECT coalesce(sum(p.amount), 0) FROM billing_payment p
                              WHERE p.contract_id = k.id AND p.purpose = 'account')
                             - (SELECT coalesce(sum(c.gross), 0) FROM billing_document c
                                WHERE c.contract = k.id AND c.kind = 'credit_note')) AS oldest
FROM billing_payer y
JOIN billing_contract k ON k.customer_id = y.customer_id
JOIN accounting_legalentity e ON e.id = k.entity_id AND e.project_id = y.seller_id
WHERE y.project_id = :project
ORDER BY e.name, k.id

-- name: sold_service
-- The service of a project that a seller is paid for, by the names of both.
SELECT s.instance
FROM billing_subscription s
JOIN billing_contract k ON k.id = s.contract
JOIN accounting_legalentity e ON e.id = k.entity_id
JOIN ordering_instance i ON i.id = s.instance
JOIN people_project j ON j.id = i.project_id
WHERE e.project_id = :seller AND j.name = :project AND i.title = :title AND s.state IN ('pending', 'active')

-- name: seller_of_tree
-- Who sells a service, or owns its product when nobody pays for it.
SELECT coalesce((SELECT o.project_id FROM billing_subscription s JOIN sales_offer o ON o.id = s.offer
                 WHERE s.instance = i.id AND s.state IN ('pending', 'active')), p.project_id) AS project
FROM ordering_instance i
JOIN catalog_product p ON p.name = i.product
WHERE i.id = :root

-- name: parts
-- What kinds of parts a service has.
SELECT DISTINCT i.product, i.type
FROM ordering_instance i
WHERE i.tree = :root AND i.parent IS NOT NULL AND i.gone_at IS NULL
