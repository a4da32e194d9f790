-- A foreign-data wrapper outside of an extension.
-- Says: foreign-data wrapper bare, which is restored by hand alone
-- By hand: only a superuser could make this | restore the dump by hand | FOREIGN DATA WRAPPER bare

CREATE FOREIGN DATA WRAPPER bare OPTIONS (a 'b');
CREATE SERVER far FOREIGN DATA WRAPPER bare;
