-- name: latest
-- The types of the release of a product that was published last.
SELECT r.id AS release, r.version, t.name, t.weight, t.shared, t.host
FROM catalog_release r
JOIN catalog_releasetype t ON t.release_id = r.id
WHERE r.id = (SELECT r2.id FROM catalog_release r2 JOIN catalog_product p ON p.id = r2.product_id
              WHERE p.name = :product ORDER BY r2.published_at DESC, r2.version DESC LIMIT 1)

-- name: version
-- The types of one release of a product.
SELECT r.id AS release, r.version, t.name, t.weight, t.shared, t.host
FROM catalog_release r
JOIN catalog_product p ON p.id = r.product_id
JOIN catalog_releasetype t ON t.release_id = r.id
WHERE p.name = :product AND r.version = :version

-- name: may_offer
-- A project may offer a product to others: as its owner, or by a grant.
SELECT p.id FROM catalog_product p
WHERE p.name = :product
  AND (p.project_id = :project
       OR EXISTS (SELECT 1 FROM catalog_sellinggrant g WHERE g.product_id = p.id AND g.project_id = :project))

-- name: offer
-- The offer that a name means: of one seller, of one product, or of who made that name first.
SELECT o.id, o.product, o.type, o.parameters, o.retired_at,
       CASE WHEN p.project_id = o.project_id
              OR EXISTS (SELECT 1 FROM catalog_sellinggrant g
                         WHERE g.product_id = p.id AND g.project_id = o.project_id)
            THEN 1 ELSE 0 END AS may_sell
FROM catalog_offer o
JOIN catalog_product p ON p.name = o.product
WHERE o.name = :name
  AND (:product = '' OR o.product = :product)
  AND (:seller = '' OR EXISTS (SELECT 1 FROM accounting_legalentity e
                               WHERE e.project_id = o.project_id AND e.code = :seller))
ORDER BY CASE WHEN :product <> '' AND p.project_id = o.project_id THEN 0 ELSE 1 END, o.created_at, o.id
LIMIT 1
