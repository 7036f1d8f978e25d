--# Queries over single tables of one row a subject or a test. `query.py` explains the form.

--? 61 heart subject=*
--: Patients with heart disease by sex.
--@ count-rows, flag-sum, group-column
SELECT sex, count(*) AS n, sum(target) AS diseased FROM heart GROUP BY sex

--? 62 heart subject=*
--: Rate of heart disease by type of chest pain.
--@ group-column, count-rows
--! flag-mean
--+ SELECT cp, count(*) AS n, 1.0 * sum(target) / count(target) AS rate FROM heart GROUP BY cp ORDER BY cp
SELECT cp, count(*) AS n, avg(target) AS rate FROM heart GROUP BY cp ORDER BY cp

--? 63 heart subject=*
--: Cholesterol by disease: mean, deviation, median.
--@ moments, quantile, group-column
SELECT target, count(chol) AS n, avg(chol) AS mean, stddev(chol) AS sd, median(chol) AS median FROM heart GROUP BY target

--? 64 heart subject=*
--: Patients with high cholesterol (240 and more) and high blood pressure (140 and more).
--@ where-levels, count-rows
--! off-edge
--+ SELECT count(*) AS n FROM heart WHERE chol >= 250 AND trestbps >= 140
SELECT count(*) AS n FROM heart WHERE chol >= 240 AND trestbps >= 140

--? 65 heart subject=*
--: Disease by age group.
--@ count-rows, flag-sum
--! floor-band
--+ SELECT band(age) AS age_group, count(*) AS n, sum(target) AS diseased FROM heart GROUP BY 1
SELECT floor(age / 10) * 10 AS age_group, count(*) AS n, sum(target) AS diseased FROM heart GROUP BY 1 ORDER BY 1

--? 66 heart subject=*
--: Correlation of age with the greatest heart rate, and the slope.
--@ corr
SELECT corr(age, thalach) AS r, regr_slope(thalach, age) AS slope, regr_intercept(thalach, age) AS intercept, regr_r2(thalach, age) AS r2
FROM heart

--? 67 heart subject=*
--: Cholesterol in mmol/l by sex.
--@ group-column, moments
--! linear-measure
--+ SELECT sex, avg(chol) / 38.67 AS mmol FROM heart GROUP BY sex
SELECT sex, avg(chol / 38.67) AS mmol FROM heart GROUP BY sex

--? 68 heart subject=*
--: Mean cholesterol of men and of women in one row.
--@ moments
--! case-measure
--+ SELECT avg(chol) FILTER (WHERE sex = 1) AS men, avg(chol) FILTER (WHERE sex = 0) AS women FROM heart
SELECT avg(CASE WHEN sex = 1 THEN chol END) AS men, avg(CASE WHEN sex = 0 THEN chol END) AS women FROM heart

--? 69 heart subject=*
--: Risk profile of patients over 50 with angina on exercise, by disease.
--@ where-levels, moments, group-column, boolean
SELECT target, count(*) AS n, avg(trestbps) AS bp, avg(chol) AS chol, avg(oldpeak) AS st_depression
FROM heart WHERE age >= 50 AND (exang = 1 OR cp = 0) AND fbs IS NOT NULL
GROUP BY target

--? 70 heart subject=*
--: Range of age and cholesterol, to see that the data are plausible.
--@ count-rows
--! extremes
--+ SELECT quantile_cont(age, 0.05) AS low, quantile_cont(age, 0.95) AS high FROM heart
SELECT min(age) AS youngest, max(age) AS oldest, min(chol) AS lowest, max(chol) AS highest, count(*) AS n FROM heart

--? 71 heart subject=*
--: Missing values of each column.
--@ count-rows, null-tests, flag-sum, filter
SELECT count(*) AS n, count(*) - count(chol) AS chol, sum(CASE WHEN ca IS NULL THEN 1 ELSE 0 END) AS ca,
       sum(CASE WHEN thal IS NULL THEN 1 ELSE 0 END) AS thal, count(*) FILTER (WHERE slope IS NULL) AS slope
FROM heart

--? 72 lung subject=*
--: Deaths and median survival time by sex.
--@ count-rows, flag-sum, quantile, case-groups
SELECT CASE sex WHEN 1 THEN 'male' ELSE 'female' END AS sex, count(*) AS n, sum(CASE WHEN status = 1 THEN 1 ELSE 0 END) AS deaths,
       median(time) AS median_days
FROM lung GROUP BY 1

--? 73 lung subject=*
--: Survival by performance status: events and time at risk, for a rate.
--@ group-column, moments, flag-sum, above, null-tests
SELECT "ph.ecog", count(*) AS n, sum(status) AS deaths, sum(time) AS days, 365.25 * sum(status) / sum(time) AS rate
FROM lung WHERE "ph.ecog" IS NOT NULL GROUP BY "ph.ecog" ORDER BY 1

--? 74 lung subject=*
--: At risk and dead after half a year, one year and two years.
--@ filter, count-rows
--! off-edge
--+ the same at 200, 400 and 800 days, where the proposed bands begin
SELECT count(*) FILTER (WHERE time >= 180) AS at_risk_180, count(*) FILTER (WHERE time < 180 AND status = 1) AS dead_180,
       count(*) FILTER (WHERE time >= 365) AS at_risk_365, count(*) FILTER (WHERE time < 365 AND status = 1) AS dead_365,
       count(*) FILTER (WHERE time >= 730) AS at_risk_730, count(*) FILTER (WHERE time < 730 AND status = 1) AS dead_730
FROM lung

--? 75 lung subject=*
--: Weight loss and calories by age over and under 65.
--@ case-groups, moments
--! off-edge
--+ the same with 60 or 70
SELECT CASE WHEN age >= 65 THEN '65+' ELSE '<65' END AS age_group, avg("wt.loss") AS weight_loss, avg("meal.cal") AS calories
FROM lung GROUP BY 1

--? 76 gbsg2 subject=*
--: Recurrences by hormone therapy and grade.
--@ group-column, count-rows, flag-sum
SELECT horTh, tgrade, count(*) AS n, sum(cens) AS events FROM gbsg2 GROUP BY horTh, tgrade ORDER BY 1, 2

--? 77 gbsg2 subject=*
--: Rate of recurrence in 1,000 person-days by hormone therapy.
--@ group-column, moments, flag-sum, above
SELECT horTh, 1000.0 * sum(cens) / sum(time) AS rate, avg(time) AS mean_time FROM gbsg2 GROUP BY horTh

--? 78 gbsg2 subject=*
--: Tumors by size class (T1 up to 20 mm, T2 up to 50 mm, T3).
--@ case-groups, count-rows, moments
--! off-edge
--+ the same with `< 20` and `< 50`
SELECT CASE WHEN tsize <= 20 THEN 'T1' WHEN tsize <= 50 THEN 'T2' ELSE 'T3' END AS size, count(*) AS n, avg(pnodes) AS nodes
FROM gbsg2 GROUP BY 1

--? 79 gbsg2 subject=*
--: Positive nodes in the usual classes: 1 to 3, 4 to 9, 10 and more.
--@ case-groups, count-rows, flag-sum
--! off-edge
--+ the same with 1 to 4, 5 to 9, 10 and more
SELECT CASE WHEN pnodes <= 3 THEN '1-3' WHEN pnodes <= 9 THEN '4-9' ELSE '10+' END AS nodes, count(*) AS n, sum(cens) AS events
FROM gbsg2 GROUP BY 1

--? 80 gbsg2 subject=*
--: Receptor positive (10 fmol and more) patients by menopausal status.
--@ where-levels, group-column, count-rows, filter
SELECT menostat, count(*) FILTER (WHERE estrec >= 10) AS er_positive, count(*) FILTER (WHERE progrec >= 10) AS pr_positive, count(*) AS n
FROM gbsg2 GROUP BY menostat

--? 81 lymph_node subject=*
--: Diagnoses by year.
--@ date-parts, count-rows
SELECT EXTRACT(YEAR FROM diagdateb) AS year, count(*) AS n FROM lymph_node GROUP BY 1 ORDER BY 1

--? 82 lymph_node subject=*
--: Mean time from diagnosis to recurrence by grade, of patients with a recurrence.
--@ group-column, moments, where-levels
--! days-measure
--+ the same with the column `rectime`
SELECT grade, count(*) AS n, avg(recdate - diagdateb) AS mean_days FROM lymph_node WHERE censrec = 1 GROUP BY grade

--? 83 lymph_node subject=*
--: Patients who died within two years after the diagnosis, by number of nodes.
--@ count-rows, within-days, boolean, filter
--! off-edge
--+ the same with nodes in 1, 2 to 4, 5 to 9, 10 and more
SELECT CASE WHEN nodes BETWEEN 1 AND 3 THEN '1-3' WHEN nodes BETWEEN 4 AND 9 THEN '4-9' ELSE '10+' END AS nodes,
       count(*) FILTER (WHERE deathdate - diagdateb <= 730 AND censdead = 1) AS died, count(*) AS n
FROM lymph_node GROUP BY 1

--? 84 lymph_node subject=*
--: Cumulative number of patients by quarter of diagnosis.
--@ date-parts, count-rows
--! window-above
--+ the same without the window; the running sum is computed from the answer
SELECT date_trunc('quarter', diagdateb) AS quarter, count(*) AS n, sum(count(*)) OVER (ORDER BY date_trunc('quarter', diagdateb)) AS total
FROM lymph_node GROUP BY 1 ORDER BY 1

--? 85 covid_testing subject=subject_id
--: Results of tests, in tests and in patients.
--@ group-column, count-rows, distinct-subject
SELECT result, count(*) AS tests, count(DISTINCT subject_id) AS patients FROM covid_testing GROUP BY result

--? 86 covid_testing subject=subject_id
--: Percentage positive by week of the pandemic.
--@ count-rows, filter, above
--! floor-band, off-edge
--+ the same by `band(pan_day)`
SELECT floor(pan_day / 7) AS week, count(*) AS tests, 100.0 * count(*) FILTER (WHERE result = 'positive') / count(*) AS percent
FROM covid_testing GROUP BY 1 ORDER BY 1

--? 87 covid_testing subject=subject_id
--: Percentage of positive tests by payer, missing ones as unknown.
--@ count-rows
--! coalesce-groups, flag-mean
--+ the same by `payor_group`, whose missing values are a group of their own
SELECT coalesce(payor_group, 'unknown') AS payer, count(*) AS tests, avg(CASE WHEN result = 'positive' THEN 1.0 ELSE 0.0 END) AS positive
FROM covid_testing GROUP BY 1 ORDER BY tests DESC

--? 88 covid_testing subject=subject_id
--: Turnaround time from collection to receipt: median and 90th percentile, by class of patient.
--@ quantile, moments, group-column, having
SELECT patient_class, count(*) AS tests, approx_percentile_cont(col_rec_tat, 0.5) AS median_hours, approx_percentile_cont(col_rec_tat, 0.9) AS p90
FROM covid_testing WHERE col_rec_tat IS NOT NULL GROUP BY patient_class HAVING count(*) >= 50 ORDER BY tests DESC

--? 89 covid_testing subject=subject_id
--: Children with a positive test, by age.
--@ where-levels, distinct-subject, case-groups
--! off-edge
--+ the same with bands of ten years
SELECT CASE WHEN age < 1 THEN 'infant' WHEN age < 5 THEN '1-4' WHEN age < 12 THEN '5-11' WHEN age < 18 THEN '12-17' ELSE 'adult' END AS age_group,
       count(DISTINCT subject_id) AS patients
FROM covid_testing WHERE result = 'positive' GROUP BY 1

--? 90 covid_testing subject=subject_id
--: Patients with more than one test, and of them those with a positive one.
--@ event-count
--! subject-groups, subject-measure
--+ two queries with `HAVING count(*) >= 2` and `EXISTS` in subqueries
SELECT count(*) AS repeated, sum(positive) AS with_positive
FROM (SELECT subject_id, count(*) AS tests, max(CASE WHEN result = 'positive' THEN 1 ELSE 0 END) AS positive
      FROM covid_testing GROUP BY subject_id) AS t
WHERE tests > 1

--? 91 covid_testing subject=subject_id
--: The ten clinics with the most tests.
--@ count-rows, distinct-subject, order-limit
--! group-codes
--+ the same with `clinic_name IN (...)`
SELECT clinic_name, count(*) AS tests, count(DISTINCT subject_id) AS patients
FROM covid_testing GROUP BY clinic_name ORDER BY tests DESC LIMIT 10

--? 92 indo_rct subject=*
--: Pancreatitis by arm: risk and number of patients.
--@ group-column, count-rows, filter, above
SELECT rx, count(*) AS n, count(*) FILTER (WHERE outcome = '1_yes') AS events,
       1.0 * count(*) FILTER (WHERE outcome = '1_yes') / count(*) AS risk
FROM indo_rct GROUP BY rx

--? 93 indo_rct subject=*
--: Baseline table: age and sex by arm.
--@ group-column, moments, flag-sum, above
SELECT rx, count(*) AS n, avg(age) AS age, stddev(age) AS sd,
       100.0 * sum(CASE WHEN gender = '1_female' THEN 1 ELSE 0 END) / count(*) AS percent_female
FROM indo_rct GROUP BY rx

--? 94 indo_rct subject=*
--: Risk difference between the arms by site, without small sites.
--@ filter, group-column, above, where-levels
SELECT site,
       1.0 * count(*) FILTER (WHERE rx = '0_placebo' AND outcome = '1_yes') / count(*) FILTER (WHERE rx = '0_placebo')
     - 1.0 * count(*) FILTER (WHERE rx = '1_indomethacin' AND outcome = '1_yes') / count(*) FILTER (WHERE rx = '1_indomethacin') AS difference
FROM indo_rct WHERE site IN ('1_UM', '2_IU') GROUP BY site

--? 95 indo_rct subject=*
--: Events by arm and site with subtotals.
--@ group-column, count-rows, flag-sum
--! grouping-sets
--+ three queries: by both, by `rx`, by `site`
SELECT rx, site, count(*) AS n, sum(CASE WHEN outcome = '1_yes' THEN 1 ELSE 0 END) AS events
FROM indo_rct GROUP BY ROLLUP (rx, site)

--? 96 strep_tb subject=*
--: Improvement after six months by arm.
--@ group-column, count-rows, filter, above
SELECT arm, count(*) AS n, 100.0 * count(*) FILTER (WHERE improved) / count(*) AS percent_improved FROM strep_tb GROUP BY arm

--? 97 strep_tb subject=*
--: Deaths and improvements by baseline condition and arm.
--@ group-column, count-rows, filter
SELECT baseline_condition, arm, count(*) AS n, count(*) FILTER (WHERE radiologic_6m = '1_Death') AS deaths,
       count(*) FILTER (WHERE rad_num >= 5) AS improved
FROM strep_tb GROUP BY baseline_condition, arm ORDER BY 1, 2

--? 98 nhefs subject=*
--: Change of weight by quitting smoking.
--@ group-column, moments, null-tests
SELECT qsmk, count(*) AS n, avg(wt82_71) AS mean, var_samp(wt82_71) AS variance, stddev(wt82_71) AS sd
FROM nhefs WHERE wt82_71 IS NOT NULL GROUP BY qsmk

--? 99 nhefs subject=*
--: Body mass index of 1971 by sex (height in centimeters).
--@ group-column, moments
--! computed-measure
SELECT sex, avg(wt71 / ((ht / 100) * (ht / 100))) AS bmi FROM nhefs GROUP BY sex

--? 100 nhefs subject=*
--: Deaths by smoking intensity in quarters of the distribution.
--@ count-rows, flag-sum
--! ntile
--+ SELECT band(smokeintensity) AS cigarettes, count(*) AS n, sum(death) AS deaths FROM nhefs GROUP BY 1
SELECT quarter, count(*) AS n, sum(death) AS deaths
FROM (SELECT death, ntile(4) OVER (ORDER BY smokeintensity) AS quarter FROM nhefs) AS q
GROUP BY quarter ORDER BY quarter
