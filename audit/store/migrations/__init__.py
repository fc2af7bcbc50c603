"""How the tables of older stores become those of this version, with Alembic. Only `audit.store.upgrade` comes here.

To change the tables: change `audit/store/schema.py`, raise its `VERSION`, and add a file to `versions` whose revision
is that number. The tests compare what the migrations make with the models, in both databases.
"""
