from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_use_by_term")]
    operations = [
        migrations.RenameModel("Former", "PartySnapshot"),
        migrations.RenameModel("Term", "SubscriptionPrice"),
        migrations.RenameModel("Rolled", "MeteringCheckpoint"),
    ]
