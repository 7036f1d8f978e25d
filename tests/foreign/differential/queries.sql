--# The written cases of the differential test; `case.py` explains the form.

--# Filters on each type

--? filter
SELECT pid, n FROM site.people WHERE n = 3
--? filter
SELECT pid FROM site.people WHERE n <> 3
--? filter
SELECT pid, big FROM site.people WHERE big = 9223372036854775807
--? filter
SELECT pid, big FROM site.people WHERE big < -9223372036854775807
--? filter
SELECT pid, big FROM site.people WHERE big > 9007199254740992
--? filter
SELECT pid, big FROM site.people WHERE big IN (9007199254740992, 9007199254740993)
--? filter
SELECT pid, x FROM site.people WHERE x = 0
--? filter
SELECT pid, x FROM site.people WHERE x < 0.0 OR x > 1e300
--? filter
SELECT pid, x FROM site.people WHERE x = 0.30000000000000004
--? filter
SELECT pid, x FROM site.people WHERE x > 0 AND x < 1e-300
--? filter
SELECT pid, x FROM site.people WHERE x BETWEEN -2.5 AND 2.5
--? filter
SELECT pid, flag FROM site.people WHERE flag
--? filter
SELECT pid, flag FROM site.people WHERE NOT flag
--? filter
SELECT pid, flag FROM site.people WHERE flag IS NOT TRUE
--? filter
SELECT count(*) AS k FROM site.people WHERE flag = true AND n IS NOT NULL
--? filter
SELECT pid, admitted FROM site.people WHERE admitted = DATE '9999-12-31'
--? filter
SELECT pid, admitted FROM site.people WHERE admitted < DATE '1582-10-15'
--? filter
SELECT pid, admitted FROM site.people WHERE admitted BETWEEN DATE '0001-01-01' AND DATE '1970-01-01'
--? filter
SELECT pid, admitted FROM site.people WHERE admitted > TIMESTAMP '2021-01-01 00:00:00'
--? filter
SELECT pid, seen FROM site.people WHERE seen > admitted
--? filter
SELECT pid, seen FROM site.people WHERE seen >= TIMESTAMP '2021-01-01 00:00:00'
--? filter
SELECT pid, seen FROM site.people WHERE seen = TIMESTAMP '9999-12-31 23:59:59.999'
--? filter
SELECT pid, seen FROM site.people WHERE seen < DATE '1970-01-01'
--? filter
SELECT pid, logged FROM site.people WHERE logged = TIMESTAMP WITH TIME ZONE '2021-01-01 00:00:00+00:00'
--? filter
SELECT count(*) FROM site.people WHERE logged IS NULL
--? filter
SELECT pid, label FROM site.people WHERE label = 'line
break'
--? filter
SELECT pid FROM site.people WHERE label = ''
--? filter
SELECT pid, label FROM site.people WHERE label IN ('NA', 'NULL', 'null', 'NaN')
--? filter
SELECT pid, label FROM site.people WHERE label = 'it''s' OR label = 'with "quotes"' OR label = 'back\slash'
--? filter
SELECT pid, label FROM site.people WHERE label > 'z'
--? filter
SELECT pid, label FROM site.people WHERE label = 'é'
--? filter
SELECT pid FROM site.people WHERE ward = 'b'
--? filter
SELECT count(*) AS k, count(nothing) AS none FROM site.people WHERE nothing IS NULL
--? filter
SELECT count(*) AS k FROM site.people WHERE nothing IS NOT NULL
--? filter
SELECT pid FROM site.people WHERE n IS DISTINCT FROM 3
--? filter
SELECT pid FROM site.people WHERE n IS NOT DISTINCT FROM NULL
--? filter
SELECT pid FROM site.people WHERE flag IS DISTINCT FROM TRUE AND n > 2
--? filter
SELECT pid FROM site.people WHERE flag IS NOT DISTINCT FROM FALSE OR n = 1
--? filter
SELECT pid FROM site.people WHERE big IN (big, 0)
--? filter
SELECT pid FROM site.people WHERE n = n OR n <> n
--? filter
SELECT pid FROM site.people WHERE 3.0 < (- -5.5) AND n = 1
--? filter
SELECT count(*) AS k FROM site.people WHERE 1 = 2
--? filter
SELECT pid FROM site.people WHERE (n > 2 OR flag) AND NOT (ward = 'A' OR ward IS NULL)

--# LIKE

--? like
SELECT pid, label FROM site.people WHERE label LIKE '%e%'
--? like
SELECT pid, label FROM site.people WHERE label LIKE 'r_d'
--? like
SELECT pid, label FROM site.people WHERE label NOT LIKE '%l%'
--? like
SELECT pid, label FROM site.people WHERE label ILIKE 'PLAIN'
--? like
SELECT pid, label FROM site.people WHERE label LIKE '%!%' ESCAPE '!'
--? like
SELECT pid, label FROM site.people WHERE label LIKE '_'
--? like
SELECT pid, label FROM site.people WHERE label LIKE '%漢%' OR label LIKE '_😀' OR label LIKE '😀'

--# IN, BETWEEN, CASE, COALESCE, NULLIF

--? in
SELECT pid FROM site.people WHERE n IN (1, 2, 3)
--? in
SELECT pid FROM site.people WHERE n NOT IN (1, 2, 3)
--? in
SELECT pid FROM site.people WHERE n NOT IN (1, NULL)
--? in
SELECT pid FROM site.people WHERE n IN (1, NULL)
--? in
SELECT pid FROM site.people WHERE ward IN ('A', 'b') AND n BETWEEN 1 AND 4
--? in
SELECT pid FROM site.people WHERE n NOT BETWEEN 1 AND 4
--? in
SELECT pid FROM site.people WHERE n BETWEEN 4 AND 1
--? case
SELECT pid, CASE WHEN n > 3 THEN 'high' WHEN n > 1 THEN 'low' END AS level FROM site.people
--? case
SELECT pid, CASE ward WHEN 'A' THEN 1 WHEN 'B' THEN 2 ELSE 0 END AS w FROM site.people
--? case
SELECT CASE WHEN flag THEN 'yes' WHEN NOT flag THEN 'no' ELSE 'unknown' END AS f, count(*) AS k FROM site.people GROUP BY 1 ORDER BY 1
--? case
SELECT sum(CASE WHEN ward = 'A' THEN n ELSE 0 END) AS a, sum(CASE WHEN ward = 'A' THEN 1 END) AS b FROM site.people
--? case
SELECT pid, CASE WHEN n = 0 THEN NULL ELSE 12 % n END AS r FROM site.people
--? null
SELECT pid, COALESCE(n, -1) AS n, COALESCE(label, ward, 'none') AS t FROM site.people
--? null
SELECT pid, NULLIF(n, 0) AS n, NULLIF(ward, 'A') AS w FROM site.people
--? null
SELECT pid, COALESCE(nothing, NULL) IS NULL AS missing FROM site.people
--? null
SELECT pid, n IS NULL AS a, n + NULL AS b, NOT (n > 2) AS c FROM site.people

--# Casts

--? cast
SELECT pid, CAST(n AS DOUBLE) AS d, CAST(n AS VARCHAR) AS t FROM site.people
--? cast
SELECT pid, CAST(big AS VARCHAR) AS t FROM site.people
--? cast
SELECT pid, TRY_CAST(label AS INTEGER) AS i FROM site.people WHERE label <> '1e3' AND label <> '٣'
--? cast
SELECT pid, TRY_CAST(label AS DOUBLE) AS d FROM site.people WHERE label <> 'NaN'
--? cast
SELECT pid, TRY_CAST(label AS DATE) AS d FROM site.people
--? cast
SELECT pid, CAST(label AS INTEGER) AS i FROM site.people
--? cast
SELECT pid, CAST(admitted AS TIMESTAMP) AS t, CAST(seen AS DATE) AS d FROM site.people
--? cast
SELECT pid, CAST(admitted AS VARCHAR) AS d FROM site.people
--? cast
SELECT pid, CAST(flag AS INTEGER) AS f, CAST(n AS BOOLEAN) AS b FROM site.people
--? cast
SELECT CAST(1.5 AS INTEGER) AS a, CAST(2.4 AS INTEGER) AS b, CAST(-1.6 AS INTEGER) AS c FROM site.people LIMIT 1
--? cast
SELECT pid, CAST(score AS INTEGER) AS s FROM site.people WHERE score < 50
--? cast
SELECT pid, CAST(big AS INTEGER) AS i FROM site.people
--? cast
SELECT pid, TRY_CAST(big AS INTEGER) AS i FROM site.people
--? cast
SELECT pid, TRY_CAST(x AS BIGINT) AS i FROM site.people WHERE x IS NULL OR abs(x) > 1e300 OR x = 0

--# Arithmetic

--? arithmetic
SELECT pid, n + 1 AS a, n - 10 AS b, n * -2 AS c, -n AS d FROM site.people
--? arithmetic
--=SELECT pid, n // 2 AS a, Age // 7 AS b, -Age // 7 AS c FROM site.people
SELECT pid, n / 2 AS a, Age / 7 AS b, -Age / 7 AS c FROM site.people
--? arithmetic
SELECT pid, Age % 7 AS a, -Age % 7 AS b, Age % -7 AS c FROM site.people
--? arithmetic
--=SELECT pid, 100 // n AS a, 100 % n AS b FROM site.people
SELECT pid, 100 / n AS a, 100 % n AS b FROM site.people
--? arithmetic
SELECT pid, 100.0 / n AS a FROM site.people WHERE n > 0
--? arithmetic
SELECT pid, score / n AS a FROM site.people
--? arithmetic
SELECT pid, Age * 0.5 AS a, Age / 2.0 AS b FROM site.people
--? arithmetic
SELECT pid, big + 1 AS a FROM site.people WHERE big < 9223372036854775807
--? arithmetic
--=SELECT pid, TRY(big + 1) AS a FROM site.people
SELECT pid, big + 1 AS a FROM site.people
--? arithmetic
--=SELECT pid, TRY(big * 2) AS a FROM site.people
SELECT pid, big * 2 AS a FROM site.people
--? arithmetic
--=SELECT pid, TRY(-big) AS a FROM site.people
SELECT pid, -big AS a FROM site.people
--? arithmetic
SELECT pid, x * 2 AS a, x - x AS b FROM site.people WHERE abs(x) < 1e300
--? arithmetic
SELECT pid, round(score) AS a, round(score, 1) AS b, floor(score) AS c, ceil(score) AS d FROM site.people
--? arithmetic
SELECT pid, abs(n - 3) AS a, abs(x) AS b, sign(n - 2) AS c FROM site.people
--? arithmetic
SELECT pid, sqrt(Age) AS a, exp(n) AS b, ln(Age + 1) AS c, power(n, 2) AS d FROM site.people
--? arithmetic
SELECT pid, log10(Age + 1) AS a, log2(Age + 1) AS b, trunc(score) AS c FROM site.people
--? arithmetic
SELECT pid, sqrt(n - 3) AS a FROM site.people WHERE n >= 3
--? arithmetic
SELECT pid, greatest(n, Age) AS a, least(n, Age) AS b FROM site.people
--? arithmetic
--=SELECT pid, TRY(abs(big)) AS a FROM site.people
SELECT pid, abs(big) AS a FROM site.people

--# Infinity and NaN

--? nan
SELECT pid, x * 1e10 AS y FROM site.people WHERE abs(x) > 1e300
--? nan
SELECT max(x * 1e10) AS a, min(x * 1e10) AS b, count(*) AS k FROM site.people WHERE x * 1e10 > 1e308 OR x IS NULL
--? nan
SELECT pid, x * 1e10 - x * 1e10 AS y FROM site.people WHERE abs(x) > 1e300 OR x < 0
--? nan
SELECT pid FROM site.people WHERE x * 1e10 - x * 1e10 > 5
--? nan
SELECT pid FROM site.people WHERE x * 1e10 - x * 1e10 = x * 1e10 - x * 1e10
--? nan
SELECT x * 1e10 - x * 1e10 AS y, count(*) AS k FROM site.people GROUP BY x * 1e10 - x * 1e10
--? nan
SELECT max(x * 1e10 - x * 1e10) AS a, min(x * 1e10 - x * 1e10) AS b FROM site.people
--? nan
SELECT pid, x * 1e10 - x * 1e10 AS y FROM site.people ORDER BY y DESC NULLS LAST, pid LIMIT 20
--? nan
SELECT pid, score / 0.0 AS a, n / 0.0 AS b FROM site.people WHERE n < 3
--? nan
--=SELECT pid, TRY(sqrt(0.0 - score)) AS a FROM site.people WHERE n = 2
SELECT pid, sqrt(0.0 - score) AS a FROM site.people WHERE n = 2
--? nan
--=SELECT pid, TRY(ln(score - score)) AS a FROM site.people WHERE n = 2
SELECT pid, ln(score - score) AS a FROM site.people WHERE n = 2
--? nan
SELECT avg(x * 1e10) AS a, sum(x) AS b FROM site.people WHERE x > 1e300
--? nan
SELECT count(DISTINCT x) AS a FROM site.people WHERE x = 0 OR x IS NULL
--? nan
SELECT pid FROM site.people WHERE isnan(x * 1e10 - x * 1e10)
--? nan
SELECT pid, CAST('NaN' AS DOUBLE) AS a, CAST('Infinity' AS DOUBLE) AS b FROM site.people WHERE n = 1

--# Dates and times

--? date
SELECT pid, date_part('year', admitted) AS y, date_part('month', admitted) AS m, date_part('day', admitted) AS d FROM site.people
--? date
SELECT pid, EXTRACT(YEAR FROM seen) AS y, EXTRACT(HOUR FROM seen) AS h, EXTRACT(MINUTE FROM seen) AS m FROM site.people
--? date
SELECT pid, date_part('dow', admitted) AS a, date_part('doy', admitted) AS b, date_part('quarter', admitted) AS c FROM site.people
--? date
SELECT pid, date_part('week', admitted) AS w FROM site.people
--? date
SELECT pid, date_trunc('month', seen) AS m, date_trunc('day', seen) AS d, date_trunc('hour', seen) AS h FROM site.people
--? date
SELECT pid, date_trunc('year', admitted) AS y FROM site.people
--? date
SELECT pid, date_trunc('day', logged) AS d, date_part('hour', logged) AS h FROM site.people
--? date
SELECT date_part('year', admitted) AS y, count(*) AS k FROM site.people GROUP BY date_part('year', admitted) ORDER BY y
--? date
SELECT min(admitted) AS a, max(admitted) AS b, min(seen) AS c, max(seen) AS d, min(logged) AS e, max(logged) AS f FROM site.people
--? date
SELECT pid, CASE WHEN admitted < DATE '2000-01-01' THEN 'old' ELSE 'new' END AS c FROM site.people WHERE admitted IS NOT NULL
--? date
SELECT pid, date_part('epoch', seen) AS e FROM site.people WHERE seen > TIMESTAMP '1900-01-01 00:00:00'

--# Years beside those that dates have

--? date
SELECT pid FROM site.people WHERE date_part('year', admitted) >= 0
--? date
SELECT pid FROM site.people WHERE date_part('year', admitted) < 10000
--? date
SELECT pid FROM site.people WHERE date_part('year', seen) <= 9999 AND EXTRACT(YEAR FROM admitted) > 0
--? date
SELECT pid FROM site.people WHERE date_part('year', logged) = 9999 OR date_part('year', logged) <> 10000
--? date
SELECT pid FROM site.people WHERE date_part('year', admitted) BETWEEN -5 AND 20000
--? date
SELECT pid FROM site.people WHERE date_part('year', admitted) IN (-1, 0, 1, 9999, 10000)
--? date
SELECT count(*) AS k FROM site.people WHERE date_part('year', admitted) IS DISTINCT FROM 10000
--? interval
--=SELECT pid, known_years(CAST(admitted - INTERVAL '2 years' AS DATE)) AS a, known_years(CAST(admitted + INTERVAL '1 day' AS DATE)) AS b FROM site.people
SELECT pid, admitted - INTERVAL '2 years' AS a, admitted + INTERVAL '1 day' AS b FROM site.people
--? interval
--=SELECT pid, CAST(CAST(known_years(seen + INTERVAL '1 month') AS DATE) AS VARCHAR) AS a, date_part('year', known_years(seen - INTERVAL '1 day')) AS b FROM site.people
SELECT pid, CAST(CAST(seen + INTERVAL '1 month' AS DATE) AS VARCHAR) AS a, date_part('year', seen - INTERVAL '1 day') AS b FROM site.people
--? interval
--=SELECT min(known_years(CAST(admitted - INTERVAL '1 year' AS DATE))) AS a, count(known_years(CAST(admitted + INTERVAL '1 year' AS DATE))) AS k FROM site.people
SELECT min(admitted - INTERVAL '1 year') AS a, count(admitted + INTERVAL '1 year') AS k FROM site.people

--# Texts

--? text
SELECT pid, upper(label) AS a, lower(label) AS b FROM site.people
--? text
SELECT pid, upper('straße') AS a FROM site.people WHERE n = 1
--? text
SELECT pid, char_length(label) AS a, length(ward) AS b FROM site.people
--? text
SELECT pid, substr(label, 2) AS a, substr(label, 2, 3) AS b, left(label, 2) AS c, right(label, 2) AS d FROM site.people
--? text
SELECT pid, substr(label, 0, 2) AS a FROM site.people
--? text
SELECT pid, trim(label) AS a, ltrim(label) AS b, rtrim(label) AS c FROM site.people
--? text
SELECT pid, ward || '-' || label AS a, concat(ward, '-', label) AS b FROM site.people
--? text
SELECT pid, strpos(label, 'e') AS a, position('l' IN label) AS b FROM site.people
--? text
SELECT pid, starts_with(label, 'r') AS a, ends_with(label, 'd') AS b, contains(label, 'ee') AS c FROM site.people
--? text
SELECT pid, replace(label, 'e', 'E') AS a, reverse(ward) AS b FROM site.people
--? text
SELECT pid, lpad(ward, 4, '*') AS a, rpad(ward, 4, '*') AS b, repeat(ward, 2) AS c FROM site.people
--? text
SELECT pid, split_part(label, ' ', 2) AS a, ascii(ward) AS b FROM site.people
--? text
SELECT max(label) AS a, min(label) AS b, max(ward) AS c FROM site.people

--# Aggregates

--? aggregate
SELECT count(*) FROM site.people
--? aggregate
SELECT count(*) AS a, count(n) AS b, count(nothing) AS c, count(score) AS d FROM site.people
--? aggregate
SELECT sum(n) AS a, avg(n) AS b, min(n) AS c, max(n) AS d FROM site.people
--? aggregate
SELECT sum(score) AS a, avg(score) AS b, min(score) AS c, max(score) AS d FROM site.people
--? aggregate
SELECT sum(big) AS a FROM site.people
--? aggregate
SELECT sum(big) AS a FROM site.people WHERE big > 1000000000000
--? aggregate
SELECT avg(big) AS a FROM site.people WHERE big > 1000000000000
--? aggregate
SELECT min(big) AS a, max(big) AS b FROM site.people
--? aggregate
SELECT min(x) AS a, max(x) AS b, count(x) AS c FROM site.people
--? aggregate
SELECT sum(Age) AS a, avg(Age) AS b, count(Age) AS c FROM site.people
--? aggregate
SELECT sum(mixed) AS a, avg(mixed) AS b, max(mixed) AS c FROM site.people
--? aggregate
SELECT sum(n * 2 + 1) AS a, avg(Age - n) AS b, sum(-n) AS c FROM site.people
--? aggregate
SELECT sum(n) + count(*) AS a, avg(Age) / 2 AS b FROM site.people
--? aggregate
SELECT count(DISTINCT n) AS a, count(DISTINCT ward) AS b, count(DISTINCT label) AS c FROM site.people
--? aggregate
SELECT sum(DISTINCT n) AS a FROM site.people
--? aggregate
SELECT count(*) FILTER (WHERE flag) AS a, sum(n) FILTER (WHERE ward = 'A') AS b FROM site.people
--? aggregate
SELECT sum(n) AS a, avg(n) AS b, count(*) AS c FROM site.people WHERE n > 1000
--? aggregate
SELECT min(ward) AS a, max(label) AS b, min(flag) AS c FROM site.people WHERE flag
--? aggregate
SELECT bool_and(flag) AS a, bool_or(flag) AS b FROM site.people
--? statistics
SELECT median(n) AS a, median(score) AS b FROM site.people
--? statistics
SELECT stddev(n) AS a, stddev_samp(n) AS b, stddev_pop(n) AS c FROM site.people
--? statistics
SELECT var_samp(score) AS a, var_pop(score) AS b FROM site.people
--? statistics
SELECT corr(n, Age) AS a, covar_samp(n, Age) AS b, covar_pop(n, Age) AS c FROM site.people
--? statistics
SELECT ward, stddev(Age) AS a, median(Age) AS b FROM site.people GROUP BY ward ORDER BY ward NULLS FIRST
--? statistics
SELECT stddev(n) AS a FROM site.people WHERE pid = 'S001' AND n < 0
--? statistics
SELECT regr_slope(Age, n) AS a, regr_intercept(Age, n) AS b FROM site.people
--? ordered-set
SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY Age) AS q FROM site.people
--? ordered-set
SELECT ward, percentile_cont(0.5) WITHIN GROUP (ORDER BY Age) AS q FROM site.people GROUP BY ward ORDER BY ward
--? ordered-set
SELECT string_agg(ward, ',' ORDER BY pid, ward) AS a FROM site.people WHERE n = 3
--? ordered-set
SELECT n, string_agg(ward, '+' ORDER BY ward, pid) AS a FROM site.people GROUP BY n ORDER BY n

--# Groups

--? group
SELECT ward, count(*) AS k FROM site.people GROUP BY ward ORDER BY ward
--? group
SELECT ward, flag, count(*) AS k, sum(n) AS s FROM site.people GROUP BY ward, flag
--? group
SELECT ward, avg(Age) AS a FROM site.people GROUP BY ward HAVING count(*) > 10 ORDER BY a DESC
--? group
SELECT n % 2 AS odd, count(*) AS k FROM site.people GROUP BY n % 2 ORDER BY 1
--? group
SELECT upper(ward) AS w, count(*) AS k FROM site.people GROUP BY upper(ward) ORDER BY w NULLS LAST
--? group
SELECT upper(ward) AS w, count(*) AS k FROM site.people GROUP BY w ORDER BY w NULLS LAST
--? group
SELECT x, count(*) AS k FROM site.people WHERE x = 0 GROUP BY x
--? group
SELECT admitted, count(*) AS k FROM site.people GROUP BY admitted HAVING count(*) > 1
--? group
SELECT nothing, count(*) AS k FROM site.people GROUP BY nothing
--? group
SELECT ward, count(*) AS k FROM site.people GROUP BY ALL ORDER BY k DESC, ward
--? group
SELECT ward, flag, count(*) AS k FROM site.people GROUP BY ROLLUP (ward, flag)
--? group
SELECT ward, flag, count(*) AS k, GROUPING(ward) AS g FROM site.people GROUP BY CUBE (ward, flag)
--? group
SELECT ward, flag, sum(n) AS s FROM site.people GROUP BY GROUPING SETS ((ward), (flag), ())
--? group
SELECT ward FROM site.people GROUP BY ward HAVING max(n) >= 5 AND min(n) <= 1
--? group
SELECT count(*) AS k FROM site.people HAVING count(*) > 100000
--? group
SELECT max(k) AS most FROM (SELECT ward, count(*) AS k FROM site.people GROUP BY ward) AS w
--? distinct
SELECT DISTINCT ward FROM site.people
--? distinct
SELECT DISTINCT ward, flag FROM site.people ORDER BY ward NULLS FIRST, flag NULLS FIRST
--? distinct
SELECT DISTINCT n > 2 AS big FROM site.people
--? distinct
SELECT count(*) AS k FROM (SELECT DISTINCT label FROM site.people) AS d

--# Order and limit

--? order
SELECT pid, n FROM site.people ORDER BY n NULLS FIRST, pid
--? order
SELECT pid, n FROM site.people ORDER BY n DESC NULLS LAST, pid DESC
--? order
SELECT pid, n FROM site.people ORDER BY n, pid
--? order
SELECT pid, n FROM site.people ORDER BY n DESC, pid
--? order
SELECT pid, label FROM site.people ORDER BY label, pid
--? order
SELECT pid, admitted FROM site.people ORDER BY admitted DESC NULLS LAST, pid LIMIT 20
--? order order=total ways=own,one
SELECT pid FROM site.people ORDER BY Age NULLS LAST, pid
--? order
SELECT pid, n AS k FROM site.people ORDER BY 2 NULLS LAST, 1
--? order order=total ways=own,one
SELECT pid FROM site.people ORDER BY -n NULLS LAST, pid
--? limit
SELECT pid, vid FROM site.visits ORDER BY vid LIMIT 5
--? limit
SELECT vid FROM site.visits ORDER BY vid DESC LIMIT 5 OFFSET 3
--? limit
SELECT vid FROM site.visits ORDER BY vid OFFSET 85
--? limit rows=any
SELECT vid FROM site.visits LIMIT 7
--? limit
SELECT vid FROM site.visits ORDER BY vid LIMIT 0
--? limit
SELECT vid FROM site.visits ORDER BY vid FETCH FIRST 3 ROWS ONLY
--? limit
SELECT vid FROM site.visits ORDER BY vid OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY
--? limit
SELECT ward, count(*) AS k FROM site.people GROUP BY ward ORDER BY ward LIMIT 2

--# Joins

--? join
SELECT p.pid, v.vid FROM site.people AS p JOIN site.visits AS v ON p.pid = v.pid WHERE p.pid NOT LIKE 'S%'
--? join
SELECT p.pid, v.vid, v.cost FROM site.people p LEFT JOIN site.visits v ON p.pid = v.pid AND v.cost > 5000 WHERE p.n = 2
--? join
SELECT p.ward, sum(v.cost) AS c, count(*) AS k FROM site.people p JOIN site.visits v ON p.pid = v.pid GROUP BY p.ward ORDER BY p.ward
--? join
SELECT v.vid, p.pid FROM site.people p RIGHT JOIN site.visits v ON p.pid = v.pid WHERE p.pid IS NULL
--? join
SELECT count(*) AS k FROM site.people p FULL JOIN site.visits v ON p.pid = v.pid
--? join
SELECT count(*) AS k FROM site.people a CROSS JOIN site.visits b WHERE a.n = 1 AND b.code = 'I10'
--? join
SELECT pid, ward, code FROM site.people JOIN site.visits USING (pid) WHERE n = 4
--? join
SELECT pid, vid FROM site.people RIGHT JOIN site.visits USING (pid)
--? join
SELECT pid, n, vid FROM site.people FULL JOIN site.visits USING (pid) WHERE n IS NULL OR vid IS NULL
--? join
SELECT pid, count(*) AS k FROM site.people FULL JOIN site.visits USING (pid) GROUP BY pid ORDER BY pid
--? join
SELECT p.pid AS one, pid, v.pid AS two FROM site.people p FULL JOIN site.visits v USING (pid)
--? join
SELECT lower(p.pid) AS pid, max(cost) AS c FROM site.people p JOIN site.visits v ON p.pid = v.pid GROUP BY lower(p.pid) ORDER BY pid
--? join
SELECT lower(p.pid) AS pid, cost FROM site.people p JOIN site.visits v ON p.pid = v.pid ORDER BY pid, cost
--? join
SELECT lower(pid) AS pid, cost FROM site.people p FULL JOIN site.visits v USING (pid) ORDER BY pid, cost
--? join
SELECT lower(pid) AS pid, max(cost) AS c FROM site.people RIGHT JOIN site.visits USING (pid) GROUP BY lower(pid) ORDER BY pid
--? join
SELECT pid, a.n AS one, b.n AS two FROM site.people a JOIN site.people b USING (pid) JOIN site.visits USING (pid) WHERE cost > 5000
--? join
SELECT count(*) AS k, count(DISTINCT pid) AS m FROM site.people a JOIN site.people b USING (pid) JOIN site.people c USING (pid) JOIN site.visits d USING (pid)
--? join
SELECT pid FROM site.people a LEFT JOIN site.visits USING (pid) FULL JOIN site.people c USING (pid) GROUP BY pid ORDER BY pid DESC LIMIT 7
--? join
SELECT a.pid FROM site.people a JOIN site.visits b USING (pid) JOIN site.people c ON a.pid = c.pid AND c.n = 1
--? join
SELECT pid, k FROM site.people FULL JOIN (SELECT pid, count(*) AS k FROM site.visits GROUP BY pid) v USING (pid) WHERE pid IN (SELECT pid FROM site.people WHERE n = 2)
--? join
SELECT pid, n FROM site.people a FULL JOIN site.people b USING (pid, n) WHERE EXISTS (SELECT 1 FROM site.visits v WHERE v.pid = a.pid)
--? join
SELECT * FROM (SELECT pid, n FROM site.people) a FULL JOIN (SELECT vid, pid, cost FROM site.visits) b USING (pid)
--? join
SELECT * FROM (SELECT pid, n FROM site.people) a JOIN (SELECT pid, ward FROM site.people) b USING (pid) JOIN (SELECT cost, pid FROM site.visits) c USING (pid) JOIN (SELECT pid, x FROM site.people) d USING (pid)
--? join
SELECT * FROM (SELECT pid, n FROM site.people) a NATURAL RIGHT JOIN (SELECT pid, cost FROM site.visits) b
--? join
SELECT pid, n FROM (SELECT pid, n FROM site.people) a NATURAL JOIN (SELECT n, pid FROM site.people) b NATURAL FULL JOIN (SELECT pid, vid FROM site.visits) c
--? join
SELECT pid FROM site.people a JOIN (site.people b RIGHT JOIN site.visits c USING (pid)) USING (pid)
--? join
SELECT DISTINCT pid FROM site.people RIGHT JOIN site.visits USING (pid) ORDER BY pid
--? join ways=outside
SELECT pid, n FROM alfa.people FULL JOIN beta.people b USING (pid, n)
--? join ways=outside
SELECT pid, count(*) AS k FROM alfa.people a JOIN beta.people b USING (pid) JOIN delta.people c USING (pid) GROUP BY pid
--? join
SELECT a.pid, b.pid AS other FROM site.people a JOIN site.people b ON a.n = b.n AND a.pid < b.pid WHERE a.ward = 'A' AND b.ward = 'B'
--? join ways=outside
SELECT a.pid, a.n, b.n AS other FROM alfa.people a JOIN beta.people b ON a.pid = b.pid
--? join ways=outside
SELECT a.pid, v.cost FROM alfa.people a LEFT JOIN gamma.visits v ON a.pid = v.pid WHERE a.pid LIKE 'S%'
--? join ways=outside
SELECT a.ward, count(*) AS k FROM delta.people a JOIN consortium.visits v ON a.pid = v.pid GROUP BY a.ward ORDER BY k DESC, a.ward
--? join ways=outside
SELECT a.pid FROM alfa.people a WHERE a.pid IN (SELECT b.pid FROM beta.people b WHERE b.n > 2)
--? join ways=outside
SELECT a.pid FROM alfa.people a WHERE NOT EXISTS (SELECT 1 FROM beta.visits v WHERE v.pid = a.pid)
--? join ways=outside
SELECT a.pid, b.pid FROM alfa.people a JOIN beta.people b ON a.n = b.n WHERE a.pid = 'S001'
--? join ways=outside
SELECT count(*) AS k FROM alfa.people a, beta.people b, delta.people c WHERE a.pid = b.pid AND b.pid = c.pid
--? join ways=outside
SELECT a.pid, a.Age AS one, b.Age AS two FROM alfa.people a JOIN gamma.people b ON a.pid = b.pid ORDER BY a.pid
--? join ways=outside
SELECT a.big FROM alfa.people a JOIN gamma.people b ON a.big = b.big
--? subquery
SELECT pid FROM site.people WHERE pid IN (SELECT pid FROM site.visits WHERE cost > 10000)
--? subquery
SELECT pid FROM site.people p WHERE NOT EXISTS (SELECT 1 FROM site.visits v WHERE v.pid = p.pid)
--? subquery
SELECT pid FROM site.people WHERE pid NOT IN (SELECT pid FROM site.visits)
--? subquery
SELECT pid, n FROM site.people WHERE n > (SELECT avg(n) FROM site.people)
--? subquery
SELECT pid, (SELECT max(cost) FROM site.visits) AS most FROM site.people WHERE n = 5
--? subquery
SELECT p.pid, (SELECT count(*) FROM site.visits v WHERE v.pid = p.pid) AS k FROM site.people p WHERE p.pid NOT LIKE 'S%'
--? cte
WITH old AS (SELECT pid, Age FROM site.people WHERE Age > 60) SELECT count(*) AS k, avg(Age) AS a FROM old
--? cte
WITH v AS (SELECT pid, sum(cost) AS c FROM site.visits GROUP BY pid), p AS (SELECT pid, ward FROM site.people)
SELECT p.ward, max(v.c) AS c FROM p JOIN v ON p.pid = v.pid GROUP BY p.ward
--? cte
WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT r.i, count(p.pid) AS k FROM r LEFT JOIN site.people p ON p.n = r.i GROUP BY r.i
--? set
SELECT ward FROM site.people UNION SELECT code FROM site.visits
--? set
SELECT pid FROM site.people UNION ALL SELECT pid FROM site.visits
--? set
SELECT pid FROM site.people INTERSECT SELECT pid FROM site.visits
--? set
SELECT pid FROM site.people EXCEPT SELECT pid FROM site.visits ORDER BY pid
--? set ways=outside
SELECT pid, n FROM alfa.people UNION ALL SELECT pid, n FROM beta.people ORDER BY pid, n NULLS FIRST
--? set ways=outside
SELECT ward, count(*) AS k FROM alfa.people GROUP BY ward UNION ALL SELECT ward, count(*) FROM delta.people GROUP BY ward

--# Windows

--? window
SELECT pid, ward, row_number() OVER (PARTITION BY ward ORDER BY pid, n NULLS FIRST, big) AS r FROM site.people WHERE pid NOT LIKE 'S%'
--? window
SELECT pid, rank() OVER (ORDER BY n NULLS LAST) AS r, dense_rank() OVER (ORDER BY n NULLS LAST) AS d FROM site.people
--? window
SELECT vid, cost, sum(cost) OVER (PARTITION BY code ORDER BY vid) AS running FROM site.visits
--? window
SELECT vid, lag(cost) OVER (ORDER BY vid) AS before, lead(cost, 1, 0.0) OVER (ORDER BY vid) AS after FROM site.visits
--? window
SELECT vid, avg(cost) OVER (ORDER BY vid ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS a FROM site.visits
--? window
SELECT code, first_value(vid) OVER (PARTITION BY code ORDER BY vid) AS f FROM site.visits WHERE cost > 15000
--? window
SELECT pid, n FROM (SELECT pid, n, row_number() OVER (PARTITION BY ward ORDER BY pid, big) AS r FROM site.people WHERE pid NOT LIKE 'S%') AS t WHERE r = 1
--? window
SELECT ward, count(*) AS k, sum(count(*)) OVER () AS total FROM site.people GROUP BY ward

--# Decimals, intervals, regular expressions

--? decimal
SELECT vid, CAST(cost AS DECIMAL(12, 2)) AS c FROM site.visits WHERE cost < 1000
--? decimal
SELECT sum(CAST(cost AS DECIMAL(12, 2))) AS c FROM site.visits
--? decimal
SELECT code, avg(CAST(cost AS DECIMAL(12, 2))) AS c FROM site.visits GROUP BY code ORDER BY code
--? decimal
SELECT vid, CAST(cost AS DECIMAL(12, 2)) + 1 AS c, CAST(cost AS DECIMAL(12, 2)) - 1 AS d, CAST(cost AS DECIMAL(12, 2)) * 3 AS e FROM site.visits WHERE cost < 1000
--? decimal
SELECT vid FROM site.visits WHERE CAST(cost AS DECIMAL(12, 2)) * 2 > 100
--? decimal
SELECT pid, CAST(n AS DECIMAL(19, 0)) + CAST(n AS DECIMAL(10, 3)) AS c FROM site.people WHERE n BETWEEN -1000 AND 1000
--? interval
SELECT vid, day + INTERVAL '1 month' AS d FROM site.visits
--? interval
SELECT vid FROM site.visits WHERE day > DATE '2024-01-01' - INTERVAL '30 days'
--? interval
SELECT pid, seen + INTERVAL '1 day' AS s FROM site.people WHERE seen < TIMESTAMP '9000-01-01 00:00:00'
--? interval
SELECT pid FROM site.people WHERE seen - TIMESTAMP '2020-01-01 00:00:00' > INTERVAL '365 days'
--? regex
--=SELECT pid, label FROM site.people WHERE regexp_matches(label, '^[rg]')
SELECT pid, label FROM site.people WHERE label ~ '^[rg]'
--? regex
--=SELECT pid FROM site.people WHERE regexp_matches(label, 'e{2}')
SELECT pid FROM site.people WHERE regexp_like(label, 'e{2}')
--? regex
SELECT pid, regexp_replace(label, '[aeiou]', '*') AS r FROM site.people
--? regex
--=SELECT pid FROM site.people WHERE NOT regexp_matches(label, '[0-9]')
SELECT pid FROM site.people WHERE label !~ '[0-9]'

--# Names

--? names
SELECT pid, AGE, Pid FROM site.people WHERE age > 50
--? names
SELECT avg(age) AS meanAge FROM site.people
--? names
SELECT count(*) AS N FROM site.people
--? names
SELECT "order", "größe" FROM site.people WHERE "order" = 2
--? names
SELECT "order" AS "The Order", count(*) AS "number of rows" FROM site.people GROUP BY "order" ORDER BY "The Order"
--? names
SELECT p.größe AS "Größe" FROM site.people AS p WHERE p.größe > 1.9
--? names
SELECT people.pid FROM site.people WHERE people.n = 1
--? names
SELECT site.people.pid FROM site.people WHERE site.people.n = 1
--? names ways=own,one
SELECT p.* FROM site.people AS p WHERE p.n = 1 AND p.ward = 'A'
--? names ways=own,one
SELECT * FROM site.people WHERE n = 0
--? names ways=own,one
SELECT * FROM site.visits WHERE vid % 10 = 3
--? names ways=all
--=SELECT * EXCLUDE (institution), institution FROM named.visits WHERE vid % 10 = 3
SELECT * FROM site.visits WHERE vid % 10 = 3
--? names
SELECT P.PID, P."pid" AS Other FROM site.people P WHERE N = 1
--? duplicates
SELECT pid, pid FROM site.people WHERE n = 1
--? duplicates names=any
SELECT n AS a, Age AS a, ward AS A FROM site.people WHERE n = 1
--? duplicates
SELECT count(*), count(*) FROM site.people
--? duplicates ways=outside
SELECT a.pid, b.pid, a.n, b.n FROM alfa.people a JOIN beta.people b ON a.pid = b.pid

--# Form

--? comments
-- persons with three
SELECT pid FROM site.people WHERE n = 3
--? comments
/* a block
   comment */ SELECT pid /* here */ FROM site.people -- there
WHERE n = 3
--? comments
SELECT pid FROM site.people WHERE label = '--' OR label = '/* */' OR label = ';'
--? comments
SELECT count(*) AS k FROM site.people;
--? form
select Count(*) as k, SUM(n) as s from site.people where N between 1 and 3
--? form
SELECT 1 AS one, 'x' AS t, NULL AS nothing, TRUE AS yes FROM site.people WHERE n = 1
--? refused ways=outside refuse=usage
SELECT 1 + 1 AS two, 'a' || 'b' AS ab
--? refused ways=outside refuse=usage
SELECT i FROM (VALUES (1), (2)) AS t(i) ORDER BY i
--? form
SELECT a, b FROM (SELECT n AS a, ward AS b FROM site.people) AS t WHERE a = 1

--# Members that differ

--? members ways=all partial=yes
SELECT count(extra) AS a, avg(extra) AS b FROM site.people
--? members ways=all partial=yes
SELECT pid, extra FROM site.people WHERE extra > 5
--? members ways=all partial=yes
SELECT sum(extra + 1) AS a FROM site.people
--? members ways=all
SELECT pid, n FROM site.people WHERE n = 2
--? members ways=all
SELECT avg(score) AS a, count(score) AS b, sum(score * 2) AS c FROM site.people
--? members ways=all
SELECT pid, score FROM site.people WHERE score > 100
--? members ways=all
SELECT pid, mixed FROM site.people WHERE mixed > 50
--? members ways=all
SELECT Age, mixed, count(*) AS k FROM site.people GROUP BY Age, mixed HAVING count(*) > 1
--? members
SELECT count(*) AS k FROM site.people WHERE concept = 100000000000000993
--? members
SELECT count(*) AS k, count(concept) AS c FROM site.people WHERE concept IN (100000000000000993, 100000000000000994, 0.5, 10.5)
--? members
SELECT count(*) AS k FROM site.people WHERE concept BETWEEN 100000000000000993 AND 100000000000001010 OR concept < 20.25
--? members
SELECT count(DISTINCT concept) AS k FROM site.people
--? members
SELECT pid, concept FROM site.people WHERE concept > 100000000000001000
--? members ways=own,one holder=alfa
--=SELECT count(*) AS k FROM site.people AS a JOIN (SELECT CAST(concept AS DOUBLE) AS d FROM site.people) AS b ON CAST(a.concept AS HUGEINT) = CAST(b.d AS HUGEINT)
SELECT count(*) AS k FROM site.people AS a JOIN (SELECT CAST(concept AS DOUBLE) AS d FROM site.people) AS b ON a.concept = b.d
--? members ways=all
--=SELECT institution, count(*) AS k FROM named.people GROUP BY institution ORDER BY institution
SELECT institution, count(*) AS k FROM site.people GROUP BY institution ORDER BY institution
--? members ways=all
--=SELECT institution, pid FROM named.people WHERE pid = 'S003'
SELECT institution, pid FROM site.people WHERE pid = 'S003'

--# What is refused: a comparison that loses a value, and what does not exist

--? refused refuse=usage
SELECT pid FROM site.people WHERE label > 100
--? refused refuse=usage
SELECT pid FROM site.people WHERE label = 1
--? refused refuse=usage
SELECT pid FROM site.people WHERE n = 'three'
--? refused refuse=usage
SELECT pid FROM site.people WHERE admitted > 2020
--? refused refuse=usage
SELECT nowhere FROM site.people
--? refused refuse=usage
SELECT no_such_function(n) FROM site.people
--? refused refuse=usage
SELECT pid FROM site.people WHERE sum(n) > 1
--? refused refuse=usage
SELECT ward, n, count(*) FROM site.people GROUP BY ward
--? refused refuse=usage
SELECT pid FROM site.people UNION SELECT pid, n FROM site.people
--? refused refuse=usage
DELETE FROM site.people

--# Aggregates of floating point numbers

--? float-frames ways=own,one
SELECT pid, sum(x) OVER (ORDER BY pid ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM site.people WHERE abs(x) < 1e100 OR x IS NULL
--? float-frames ways=own,one
SELECT pid, stddev(x) OVER (ORDER BY pid ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS s FROM site.people WHERE abs(x) < 1e100 OR x IS NULL
--? float-quantiles
SELECT percentile_cont(0.3) WITHIN GROUP (ORDER BY n) AS q FROM site.people
--? float-quantiles
SELECT ward, percentile_cont(0.123456789) WITHIN GROUP (ORDER BY n DESC) AS q FROM site.people GROUP BY ward

--# Tables of others

--? shared needs=shared holder=alfa
SELECT sex, count(*) AS k, avg(chol) AS c, avg(trestbps) AS t FROM site.heart GROUP BY sex ORDER BY sex
--? shared needs=shared holder=beta
SELECT age, chol, thal FROM site.heart WHERE chol > 300 AND age BETWEEN 40 AND 60
--? shared needs=shared holder=beta
SELECT count(*) AS k, count(ca) AS a, count(slope) AS b, max(oldpeak) AS c FROM site.heart
--? shared needs=shared holder=alfa
SELECT cp, median(thalach) AS m, stddev(age) AS s FROM site.heart GROUP BY cp ORDER BY cp
--? shared needs=shared names=any
SELECT "CODE", count(*) AS k FROM site.conditions GROUP BY "CODE" HAVING count(*) > 2 ORDER BY k DESC, "CODE"
--? shared needs=shared
SELECT patient, min("start") AS a, max(stop) AS b FROM site.conditions GROUP BY patient
--? shared needs=shared
SELECT description FROM site.conditions WHERE description LIKE '%disorder%' AND stop IS NULL
--? shared needs=shared
SELECT date_part('year', "start") AS y, count(*) AS k FROM site.conditions GROUP BY 1 ORDER BY 1
--? shared needs=shared
SELECT a.patient, count(*) AS k FROM site.conditions a JOIN site.conditions b ON a.patient = b.patient AND a.code = b.code AND a."start" < b."start" GROUP BY a.patient
--? refused refuse=usage
SELECT pid FROM site.people EXCEPT ALL SELECT pid FROM site.visits
--? refused refuse=usage
SELECT pid FROM site.people INTERSECT ALL SELECT pid FROM site.visits
--? refused refuse=usage
SELECT pid, n ^ 2 AS k FROM site.people
--? refused refuse=usage
SELECT pid, n << 64 AS k FROM site.people
--? refused refuse=usage
SELECT pid FROM site.people WHERE x < 1e400
--? refused refuse=usage
SELECT ward, count(*) AS k FROM site.people GROUP BY ward WITH ROLLUP
--? refused refuse=usage
SELECT pid FROM site.people TABLESAMPLE (10 PERCENT)
