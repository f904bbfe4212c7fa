-- name: by_token
-- Whom a token speaks for: its person, and that person's roles in the projects it opens.
SELECT t.person_id AS person, t.scopes, t.expires_at, t.revoked_at, t.project_id AS narrowed,
       p.email, p.is_staff, p.is_active, m.project_id AS project, j.name, m.role
FROM people_apitoken t
JOIN people_person p ON p.id = t.person_id
LEFT JOIN people_membership m
  ON m.person_id = t.person_id AND (t.project_id IS NULL OR m.project_id = t.project_id)
LEFT JOIN people_project j ON j.id = m.project_id
WHERE t.digest = :digest
