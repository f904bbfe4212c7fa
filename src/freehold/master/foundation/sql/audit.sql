-- name: audit
-- Write down an act.
INSERT INTO foundation_auditrow (at, actor, verb, subject, project, detail)
VALUES (:now, :actor, :verb, :subject, :project, :detail)
