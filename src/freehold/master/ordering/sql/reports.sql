-- name: add_departed
-- Nothing is left on a node of an instance that had left it.
INSERT INTO ordering_departedrow (instance_id, node_id, at) VALUES (:instance, :node, :at)

-- name: add_instance
-- What a node says of an instance.
INSERT INTO ordering_instancerow (instance_id, revision, state, message, promises, processes, at)
VALUES (:instance, :revision, :state, :message, :promises, :processes, :at)

-- name: add_publication
-- What an instance gave back.
INSERT INTO ordering_publicationrow (instance_id, revision, published, at)
VALUES (:instance, :revision, :published, :at)
