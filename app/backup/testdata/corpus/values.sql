-- Values with several notations.

SET ROLE app;

CREATE TABLE v (f8 float8, f4 float4, d date, ts timestamp, tz timestamptz, i interval, t time, ttz timetz, n
  numeric, j json, jb jsonb, jp jsonpath,
  a int[], aa text[][], r int4range, mr nummultirange, u uuid, ip inet, net cidr, mac macaddr8, b bytea, bits
    bit varying, p point, pg polygon,
  x xml, tv tsvector, tq tsquery, m money, c "char", nm name, o oid, x8 xid8, lsn pg_lsn, s pg_snapshot, ch
    char(5), vc varchar(3));
INSERT INTO v VALUES
  ('NaN', 'Infinity', 'infinity', '-infinity', '0044-03-15 12:00 BC', '1 year -2 days +00:00:00.000001',
    '24:00', '12:00+02', 'NaN',
   '{"b": 1,  "a": 2, "a": 3}', '{"b": 1.00}', '$.a[*] ? (@ > 1)', '[-1:1]={1,2,NULL}',
     '{{"a","NULL"},{"","\""}}', 'empty', '{[1.0,2)}',
   gen_random_uuid(), '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03:04:05', '\x00ff0a5c', B'1',
     '(-0,1e300)', '((0,0),(1,1),(1,0))',
   '<a>&#10;</a>', 'a:1A b', 'a & !b', -12.34, '\001', 'x', 4294967295, '18446744073709551615', '0/FFFFFFFF',
     '10:20:10,14', 'a', 'abc'),
  (0.1::float8 + 0.2::float8, 1e-45, '5874897-12-31', '294276-12-31 23:59:59.999999', '2026-10-25 02:30+02',
    '-178000000 years', '00:00:00.000001',
   '00:00-15:59', '1e1000'::numeric + 1, '[]', 'null', '$', '{}', '{}', '(,)', '{}', NULL, '::ffff:1.2.3.4',
     '::/0', NULL, '', '', NULL, NULL,
   NULL, '', '', 92233720368547758.07, '', '', 0, '0', '0/0', '1:1:', '', E'\t\n\\');
INSERT INTO v (n) VALUES (0.000), ('Infinity'), (123456789012345678901234567890.123456789);
