"""Adding a column in a migration. Used by migrations."""

from typing import Any

from django.db import migrations


class AddColumn(migrations.AddField):
    """A new column, filled with the default that the database knows, in the table as it stands.

    Of SQLite, Django makes a new table and copies all rows into it; the triggers of the old one are lost with it.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        definition, values = schema_editor.column_sql(model, field)
        table, column = (schema_editor.quote_name(name) for name in (model._meta.db_table, field.column))
        schema_editor.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}", values or None)
