-- name: latest
-- The types of the release of a product that was published last.
SELECT r.id AS release, r.version, t.name, t.weight, t.shared, t.host, t.requests <> '[]' AS requests, t.is_orderable,
       t.size
FROM catalog_release r
JOIN catalog_releasetype t ON t.release_id = r.id
WHERE r.id = (SELECT r2.id FROM catalog_release r2 JOIN catalog_product p ON p.id = r2.product_id
              WHERE p.name = :product ORDER BY r2.published_at DESC, r2.version DESC LIMIT 1)

-- name: version
-- The types of one release of a product.
SELECT r.id AS release, r.version, t.name, t.weight, t.shared, t.host, t.requests <> '[]' AS requests, t.is_orderable,
       t.size
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
