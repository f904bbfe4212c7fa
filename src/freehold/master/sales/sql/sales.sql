-- name: offer
-- The offer that a name means: of one seller, of one product, or of who made that name first.
SELECT o.id, o.product, o.type, o.parameters, o.size, o.retired_at,
       CASE WHEN p.project_id = o.project_id
              OR EXISTS (SELECT 1 FROM catalog_sellinggrant g
                         WHERE g.product_id = p.id AND g.project_id = o.project_id)
            THEN 1 ELSE 0 END AS may_sell
FROM sales_offer o
JOIN catalog_product p ON p.name = o.product
WHERE o.name = :name
  AND (:product = '' OR o.product = :product)
  AND (:seller = '' OR EXISTS (SELECT 1 FROM accounting_legalentity e
                               WHERE e.project_id = o.project_id AND e.code = :seller))
ORDER BY CASE WHEN :product <> '' AND p.project_id = o.project_id THEN 0 ELSE 1 END, o.created_at, o.id
LIMIT 1
