--# Queries over OMOP tables (GiBleed): cohorts, counts, events in order, vocabulary. `query.py` explains the form.

--? 1 omop subject=p.person_id
--: Patients with gastrointestinal hemorrhage after celecoxib, by age band and sex.
--@ join-subject, first-event, after, distinct-subject, case-groups
--! age-at-event, floor-band
--+ the age at the event as `band(year_of_birth)`: groups by birth cohort
SELECT CASE p.gender_concept_id WHEN 8507 THEN 'male' WHEN 8532 THEN 'female' ELSE 'other' END AS sex,
       floor((EXTRACT(YEAR FROM gi.condition_start_date) - p.year_of_birth) / 10) * 10 AS age_band,
       count(DISTINCT p.person_id) AS patients
FROM omop.person p
JOIN (SELECT person_id, min(drug_exposure_start_date) AS first_celecoxib
      FROM omop.drug_exposure WHERE drug_concept_id = 1118084 GROUP BY person_id) d ON d.person_id = p.person_id
JOIN omop.condition_occurrence gi ON gi.person_id = p.person_id AND gi.condition_concept_id = 192671
WHERE gi.condition_start_date > d.first_celecoxib
GROUP BY 1, 2 ORDER BY 1, 2

--? 2 omop subject=person_id
--: How many patients are in the database, by sex.
--@ count-rows, group-column
SELECT gender_concept_id, count(*) AS n FROM omop.person GROUP BY gender_concept_id

--? 3 omop subject=p.person_id
--: Patients by sex with its name, and the percentage of each.
--@ count-rows, join-reference, above
--! window-above
--+ the same without the window; the percentages are computed from the answer
SELECT c.concept_name AS sex, count(*) AS n, 100.0 * count(*) / sum(count(*)) OVER () AS percent
FROM omop.person p JOIN omop.concept c ON c.concept_id = p.gender_concept_id
GROUP BY c.concept_name ORDER BY n DESC

--? 4 omop subject=person_id
--: Patients by decade of birth.
--@ count-rows
--! floor-band
--+ SELECT band(year_of_birth) AS decade, count(*) AS n FROM omop.person GROUP BY 1 ORDER BY 1
SELECT (year_of_birth / 10) * 10 AS decade, count(*) AS n FROM omop.person GROUP BY 1 ORDER BY 1

--? 5 omop subject=person_id
--: Patients by race and sex.
--@ count-rows, group-column, order-limit
--! source-value
--+ the same by `race_concept_id` and `gender_concept_id`
SELECT race_source_value AS race, gender_source_value AS sex, count(*) AS n
FROM omop.person GROUP BY race_source_value, gender_source_value ORDER BY n DESC

--? 6 omop subject=co.person_id
--: The twenty most frequent diagnoses, in patients and in records.
--@ join-reference, distinct-subject, count-rows, order-limit
--! group-codes
--+ the same with `co.condition_concept_id IN (...)`: the codes are named
SELECT c.concept_name, count(DISTINCT co.person_id) AS patients, count(*) AS records
FROM omop.condition_occurrence co JOIN omop.concept c ON c.concept_id = co.condition_concept_id
GROUP BY c.concept_name ORDER BY patients DESC LIMIT 20

--? 7 omop subject=person_id
--: Prevalence of five chronic diseases.
--@ where-codes, distinct-subject, group-column, order-limit
SELECT condition_concept_id, count(DISTINCT person_id) AS patients
FROM omop.condition_occurrence
WHERE condition_concept_id IN (192671, 80180, 4027663, 81893, 4266809)
GROUP BY condition_concept_id ORDER BY patients DESC

--? 8 omop subject=co.person_id
--: The percentage of all patients who had a gastrointestinal hemorrhage.
--@ where-codes, distinct-subject, above
--! scalar-subquery
--+ two queries, and a division of their answers
SELECT count(DISTINCT co.person_id) AS patients,
       100.0 * count(DISTINCT co.person_id) / (SELECT count(*) FROM omop.person) AS percent
FROM omop.condition_occurrence co WHERE co.condition_concept_id = 192671

--? 9 omop subject=person_id
--: Diagnoses of gastrointestinal hemorrhage by calendar year.
--@ where-codes, date-parts, distinct-subject
SELECT EXTRACT(YEAR FROM condition_start_date) AS year, count(DISTINCT person_id) AS patients
FROM omop.condition_occurrence WHERE condition_concept_id = 192671
GROUP BY EXTRACT(YEAR FROM condition_start_date) ORDER BY year

--? 10 omop subject=person_id
--: Seasons of acute bronchitis: records by month of the year since 2000.
--@ where-codes, where-levels, date-parts, count-rows
SELECT date_part('month', condition_start_date) AS month, count(*) AS n
FROM omop.condition_occurrence
WHERE condition_concept_id = 260139 AND condition_start_date >= DATE '2000-01-01'
GROUP BY 1 ORDER BY 1

--? 11 omop subject=p.person_id
--: Patients with osteoarthritis and no gastrointestinal hemorrhage, by sex.
--@ semi-join, anti-join, distinct-subject, group-column
SELECT p.gender_concept_id, count(DISTINCT p.person_id) AS n
FROM omop.person p
WHERE EXISTS (SELECT 1 FROM omop.condition_occurrence c WHERE c.person_id = p.person_id AND c.condition_concept_id = 80180)
  AND NOT EXISTS (SELECT 1 FROM omop.condition_occurrence c WHERE c.person_id = p.person_id AND c.condition_concept_id = 192671)
GROUP BY p.gender_concept_id

--? 12 omop subject=p.person_id
--: Patients with a diagnosis whose name contains "hemorrhage", by sex.
--@ join-subject, join-reference, distinct-subject, group-column
--! reference-condition, source-value
--+ the same with the concept ids, which `SELECT concept_id FROM omop.concept` finds at tier `records`
SELECT p.gender_source_value AS sex, count(DISTINCT p.person_id) AS n
FROM omop.person p
JOIN omop.condition_occurrence co ON co.person_id = p.person_id
JOIN omop.concept c ON c.concept_id = co.condition_concept_id
WHERE c.concept_name ILIKE '%hemorrhage%'
GROUP BY p.gender_source_value

--? 13 omop subject=de.person_id
--: Patients with any ibuprofen product, by the ingredient's descendants.
--@ hierarchy, semi-join, distinct-subject
SELECT count(DISTINCT de.person_id) AS patients
FROM omop.drug_exposure de
WHERE de.drug_concept_id IN (SELECT descendant_concept_id FROM omop.concept_ancestor WHERE ancestor_concept_id = 1177480)

--? 14 omop subject=de.person_id
--: Patients and records by ingredient, the ancestor of what was given.
--@ hierarchy, join-reference, distinct-subject, count-rows, order-limit
--! hierarchy-groups
--+ one query for each ingredient, or `CASE` with the lists of descendants
SELECT i.concept_name AS ingredient, count(DISTINCT de.person_id) AS patients, count(*) AS exposures
FROM omop.drug_exposure de
JOIN omop.concept_ancestor ca ON ca.descendant_concept_id = de.drug_concept_id
JOIN omop.concept i ON i.concept_id = ca.ancestor_concept_id AND i.concept_class_id = 'Ingredient'
GROUP BY i.concept_name ORDER BY patients DESC LIMIT 15

--? 15 omop subject=p.person_id
--: Two by two: celecoxib or not, gastrointestinal hemorrhage or not.
--@ case-groups, count-rows
--! test-groups
--+ four queries with `EXISTS` and `NOT EXISTS`
SELECT CASE WHEN EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = p.person_id AND d.drug_concept_id = 1118084)
            THEN 'exposed' ELSE 'not exposed' END AS celecoxib,
       CASE WHEN EXISTS (SELECT 1 FROM omop.condition_occurrence c WHERE c.person_id = p.person_id AND c.condition_concept_id = 192671)
            THEN 'bleed' ELSE 'no bleed' END AS bleed,
       count(*) AS n
FROM omop.person p GROUP BY 1, 2

--? 16 omop subject=p.person_id
--: Risk of gastrointestinal hemorrhage with celecoxib and with diclofenac.
--@ cte, distinct-subject, above
--! distinct-subjects, left-join-events, test-groups
--+ one query for each drug and outcome with `EXISTS`
WITH exposed AS (
  SELECT DISTINCT person_id, CASE drug_concept_id WHEN 1118084 THEN 'celecoxib' ELSE 'diclofenac' END AS drug
  FROM omop.drug_exposure WHERE drug_concept_id IN (1118084, 1124300)
), bleeds AS (
  SELECT DISTINCT person_id FROM omop.condition_occurrence WHERE condition_concept_id = 192671
)
SELECT p.drug, count(DISTINCT p.person_id) AS patients, count(DISTINCT b.person_id) AS bleeds,
       1.0 * count(DISTINCT b.person_id) / count(DISTINCT p.person_id) AS risk
FROM exposed p LEFT JOIN bleeds b ON b.person_id = p.person_id
GROUP BY p.drug

--? 17 omop subject=c.person_id
--: Patients with gastrointestinal hemorrhage within 90 days after the first NSAID.
--@ cte, first-event, within-days, distinct-subject
WITH first_nsaid AS (
  SELECT person_id, min(drug_exposure_start_date) AS index_date
  FROM omop.drug_exposure WHERE drug_concept_id IN (1118084, 1124300)
  GROUP BY person_id
)
SELECT count(DISTINCT c.person_id) AS patients
FROM omop.condition_occurrence c JOIN first_nsaid f ON f.person_id = c.person_id
WHERE c.condition_concept_id = 192671
  AND c.condition_start_date BETWEEN f.index_date AND f.index_date + INTERVAL '90' DAY

--? 18 omop subject=f.person_id
--: Days from the first NSAID to gastrointestinal hemorrhage: mean, median and deviation.
--@ cte, first-event, after, moments, quantile
--! days-measure
--+ counts of patients by days since the first NSAID, with `BETWEEN` at the declared numbers of days
WITH first_nsaid AS (
  SELECT person_id, min(drug_exposure_start_date) AS index_date
  FROM omop.drug_exposure WHERE drug_concept_id IN (1118084, 1124300)
  GROUP BY person_id
)
SELECT count(*) AS n, avg(c.condition_start_date - f.index_date) AS mean_days, median(c.condition_start_date - f.index_date) AS median_days,
       stddev(c.condition_start_date - f.index_date) AS sd_days
FROM first_nsaid f JOIN omop.condition_occurrence c ON c.person_id = f.person_id
WHERE c.condition_concept_id = 192671 AND c.condition_start_date >= f.index_date

--? 19 omop subject=f.person_id
--: Bleeds by time since the first NSAID: up to 30, 90, 365 days, later.
--@ first-event, within-days, case-groups, distinct-subject
--! days-groups, days-bounds
--+ one query for each span, with `BETWEEN`; 30, 90 and 365 are declared numbers of days
SELECT CASE WHEN c.condition_start_date - f.index_date <= 30 THEN '0-30'
            WHEN c.condition_start_date - f.index_date <= 90 THEN '31-90'
            WHEN c.condition_start_date - f.index_date <= 365 THEN '91-365'
            ELSE 'later' END AS days, count(DISTINCT f.person_id) AS patients
FROM (SELECT person_id, min(drug_exposure_start_date) AS index_date FROM omop.drug_exposure
      WHERE drug_concept_id IN (1118084, 1124300) GROUP BY person_id) f
JOIN omop.condition_occurrence c ON c.person_id = f.person_id AND c.condition_concept_id = 192671
WHERE c.condition_start_date >= f.index_date
GROUP BY 1

--? 20 omop subject=person_id
--: New users of celecoxib by year: the first exposure of each patient, found by a window.
--@ cte, date-parts, count-rows
--! first-by-window, group-by-anchor
--+ the same with `min(drug_exposure_start_date)` and `GROUP BY person_id`
WITH ranked AS (
  SELECT person_id, drug_exposure_start_date,
         ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY drug_exposure_start_date) AS rn
  FROM omop.drug_exposure WHERE drug_concept_id = 1118084
)
SELECT EXTRACT(YEAR FROM drug_exposure_start_date) AS year, count(*) AS new_users
FROM ranked WHERE rn = 1 GROUP BY 1 ORDER BY 1

--? 21 omop subject=person_id
--: Incident diagnoses of osteoarthritis by decade: the first of each patient.
--@ first-event, count-rows
--! group-by-anchor, floor-band
--+ counts of each decade with `WHERE first_date BETWEEN`, of an anchor that is joined to `person`
SELECT floor(date_part('year', first_date) / 10) * 10 AS decade, count(*) AS patients
FROM (SELECT person_id, min(condition_start_date) AS first_date
      FROM omop.condition_occurrence WHERE condition_concept_id = 80180 GROUP BY person_id) AS f
GROUP BY 1 ORDER BY 1

--? 22 omop subject=person_id
--: Mean, deviation and greatest number of diagnoses of one patient.
--@ moments
--! subject-measure, extremes
--+ SELECT 1.0 * count(*) / count(DISTINCT person_id) AS mean FROM omop.condition_occurrence
SELECT avg(n) AS mean, stddev(n) AS sd, max(n) AS most
FROM (SELECT person_id, count(*) AS n FROM omop.condition_occurrence GROUP BY person_id) AS per_patient

--? 23 omop subject=person_id
--: Distribution of the number of visits of one patient.
--@ count-rows, case-groups, event-count
--! subject-groups
--+ one query for each number with `HAVING count(*) = ...` in a subquery
SELECT CASE WHEN visits = 1 THEN '1' WHEN visits = 2 THEN '2' ELSE '3 or more' END AS visits, count(*) AS patients
FROM (SELECT person_id, count(*) AS visits FROM omop.visit_occurrence GROUP BY person_id) v
GROUP BY 1 ORDER BY 1

--? 24 omop subject=p.person_id
--: Patients with at least three diagnoses of sinusitis, by sex.
--@ event-count, semi-join, group-column, count-rows
SELECT p.gender_concept_id AS sex, count(*) AS patients
FROM omop.person p
WHERE p.person_id IN (SELECT person_id FROM omop.condition_occurrence WHERE condition_concept_id = 40481087
                      GROUP BY person_id HAVING count(*) >= 3)
GROUP BY p.gender_concept_id

--? 25 omop subject=person_id
--: Mean and median length of stay of inpatient visits.
--@ moments, quantile, where-codes
--! days-measure
--+ counts of visits by `visit_end_date - visit_start_date <= N` with declared numbers of days
SELECT count(*) AS visits, avg(visit_end_date - visit_start_date) AS mean_days,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY visit_end_date - visit_start_date) AS median_days
FROM omop.visit_occurrence WHERE visit_concept_id = 9201

--? 26 omop subject=v.person_id
--: Readmissions: inpatient visits that begin within 30 days after another one ended.
--@ within-days, count-rows, where-codes
--! event-pairs
--+ patients with a second visit within 30 days after their first one, which is an anchor
SELECT count(*) AS readmissions
FROM omop.visit_occurrence v
WHERE v.visit_concept_id = 9201
  AND EXISTS (SELECT 1 FROM omop.visit_occurrence w
              WHERE w.person_id = v.person_id AND w.visit_occurrence_id <> v.visit_occurrence_id
                AND v.visit_start_date > w.visit_end_date AND v.visit_start_date - w.visit_end_date <= 30)

--? 27 omop subject=person_id
--: Days between consecutive visits of a patient.
--@ moments
--! lag
WITH ordered AS (
  SELECT person_id, visit_start_date, lag(visit_start_date) OVER (PARTITION BY person_id ORDER BY visit_start_date) AS previous
  FROM omop.visit_occurrence
)
SELECT count(*) AS pairs, avg(visit_start_date - previous) AS mean_days FROM ordered WHERE previous IS NOT NULL

--? 28 omop subject=o.person_id
--: Person-years of observation by sex.
--@ join-subject, group-column, count-rows
--! days-measure
SELECT p.gender_concept_id AS sex, count(*) AS patients,
       sum(o.observation_period_end_date - o.observation_period_start_date) / 365.25 AS person_years
FROM omop.observation_period o JOIN omop.person p ON p.person_id = o.person_id
GROUP BY p.gender_concept_id

--? 29 omop subject=p.person_id
--: Incidence rate of gastrointestinal hemorrhage for 1,000 person-years, by sex.
--@ cte, join-subject, above
--! left-join-events, days-measure
WITH bleed AS (
  SELECT person_id, min(condition_start_date) AS bleed_date
  FROM omop.condition_occurrence WHERE condition_concept_id = 192671 GROUP BY person_id
)
SELECT p.gender_concept_id, count(b.person_id) AS cases,
       1000.0 * count(b.person_id) / (sum(o.observation_period_end_date - o.observation_period_start_date) / 365.25) AS rate
FROM omop.person p
JOIN omop.observation_period o ON o.person_id = p.person_id
LEFT JOIN bleed b ON b.person_id = p.person_id
GROUP BY p.gender_concept_id

--? 30 omop subject=p.person_id
--: Patients of 65 years and more at the first diagnosis of osteoporosis, by sex.
--@ join-subject, first-event, distinct-subject, group-column
--! age-at-event
--+ patients born before an edge: `p.year_of_birth < 1950`
SELECT p.gender_concept_id AS sex, count(DISTINCT p.person_id) AS patients
FROM omop.person p
JOIN (SELECT person_id, min(condition_start_date) AS first_date FROM omop.condition_occurrence
      WHERE condition_concept_id = 80502 GROUP BY person_id) b ON b.person_id = p.person_id
WHERE EXTRACT(YEAR FROM b.first_date) - p.year_of_birth >= 65
GROUP BY p.gender_concept_id

--? 31 omop subject=p.person_id
--: Mean age at the diagnosis of peptic ulcer, Alzheimer's disease and atrial fibrillation.
--@ join-subject, where-codes, group-column, moments, distinct-subject
--! age-at-event, group-codes
--+ the mean of `year_of_birth`, and patients by year of diagnosis
SELECT c.concept_name, count(DISTINCT p.person_id) AS patients,
       avg(EXTRACT(YEAR FROM co.condition_start_date) - p.year_of_birth) AS mean_age
FROM omop.condition_occurrence co
JOIN omop.person p ON p.person_id = co.person_id
JOIN omop.concept c ON c.concept_id = co.condition_concept_id
WHERE c.concept_name IN ('Peptic ulcer', 'Alzheimer''s disease', 'Atrial fibrillation')
GROUP BY c.concept_name

--? 32 omop subject=person_id
--: How many patients were 65 and older in 2019.
--@ count-rows
--! linear-condition
--+ SELECT count(*) AS n FROM omop.person WHERE year_of_birth < 1955
SELECT count(*) AS n FROM omop.person WHERE 2019 - year_of_birth >= 65

--? 33 omop subject=person_id
--: Records of each table.
--@ count-rows
--! union-above
--+ one query for each table
SELECT 'persons' AS what, count(*) AS n FROM omop.person
UNION ALL SELECT 'conditions', count(*) FROM omop.condition_occurrence
UNION ALL SELECT 'drugs', count(*) FROM omop.drug_exposure
UNION ALL SELECT 'visits', count(*) FROM omop.visit_occurrence

--? 34 omop subject=person_id
--: Patients with celecoxib, with diclofenac, with both.
--@ where-codes
--! filtered-subjects, subject-sets, scalar-subquery
--+ three queries with `EXISTS`
SELECT count(DISTINCT CASE WHEN drug_concept_id = 1118084 THEN person_id END) AS celecoxib,
       count(DISTINCT CASE WHEN drug_concept_id = 1124300 THEN person_id END) AS diclofenac,
       (SELECT count(*) FROM (SELECT person_id FROM omop.drug_exposure WHERE drug_concept_id = 1118084
                              INTERSECT SELECT person_id FROM omop.drug_exposure WHERE drug_concept_id = 1124300) AS x) AS both_drugs
FROM omop.drug_exposure

--? 35 omop subject=p.person_id
--: Comorbidities of patients with gastrointestinal hemorrhage.
--@ cte, join-subject, where-codes, distinct-subject, group-column
--! distinct-subjects
--+ the same with `EXISTS` instead of the common table
WITH cohort AS (SELECT DISTINCT person_id FROM omop.condition_occurrence WHERE condition_concept_id = 192671)
SELECT p.condition_concept_id, count(DISTINCT p.person_id) AS patients
FROM cohort JOIN omop.condition_occurrence p ON p.person_id = cohort.person_id
WHERE p.condition_concept_id IN (4027663, 81893, 30753, 4266809, 4310024, 4285898)
GROUP BY p.condition_concept_id ORDER BY patients DESC

--? 36 omop subject=d.person_id
--: What else do patients with celecoxib take: the ten most frequent drugs.
--@ semi-join, join-reference, distinct-subject, order-limit
--! group-codes
--+ the same with `d.drug_concept_id IN (...)`
SELECT c.concept_name AS drug, count(DISTINCT d.person_id) AS patients
FROM omop.drug_era d JOIN omop.concept c ON c.concept_id = d.drug_concept_id
WHERE d.person_id IN (SELECT person_id FROM omop.drug_era WHERE drug_concept_id = 1118084)
  AND d.drug_concept_id <> 1118084
GROUP BY c.concept_name ORDER BY patients DESC LIMIT 10

--? 37 omop subject=person_id
--: Mean and quartiles of the days of supply of celecoxib and diclofenac.
--@ where-codes, moments, quantile, group-column
SELECT drug_concept_id, avg(days_supply) AS mean, stddev(days_supply) AS sd,
       percentile_cont(0.25) WITHIN GROUP (ORDER BY days_supply) AS q1, median(days_supply) AS q2,
       percentile_cont(0.75) WITHIN GROUP (ORDER BY days_supply) AS q3
FROM omop.drug_exposure WHERE drug_concept_id IN (1118084, 1124300, 1115171) AND days_supply > 0
GROUP BY drug_concept_id

--? 38 omop subject=person_id
--: How complete the values of measurements are, for the most frequent tests.
--@ count-rows, null-tests, order-limit, having
--! group-codes
--+ the same with `measurement_concept_id IN (...)`
SELECT measurement_concept_id, count(*) AS records, count(value_as_number) AS with_value,
       count(*) - count(value_as_number) AS without_value
FROM omop.measurement GROUP BY measurement_concept_id HAVING count(*) > 100 ORDER BY records DESC

--? 39 omop subject=person_id
--: Eras of diagnoses: mean length in days and number of occurrences in an era.
--@ moments, where-codes, group-column
--! days-measure
--+ the same without the length, or with counts by `condition_era_end_date - condition_era_start_date <= N`
SELECT condition_concept_id, avg(condition_era_end_date - condition_era_start_date) AS mean_days, avg(condition_occurrence_count) AS occurrences
FROM omop.condition_era WHERE condition_concept_id IN (40481087, 260139, 372328)
GROUP BY condition_concept_id

--? 40 omop subject=p.person_id
--: Patients with both a concussion and a fracture of the forearm within one year of each other.
--@ join-events, within-days, distinct-subject
--! days-bounds
--+ two queries: the fracture up to 365 days after the concussion, and the reverse
SELECT count(DISTINCT a.person_id) AS patients
FROM omop.condition_occurrence a
JOIN omop.condition_occurrence p ON p.person_id = a.person_id
WHERE a.condition_concept_id = 378001 AND p.condition_concept_id = 4278672
  AND p.condition_start_date BETWEEN a.condition_start_date - INTERVAL '365' DAY AND a.condition_start_date + INTERVAL '365' DAY

--? 41 omop subject=p.person_id
--: Procedures by year and sex since 2010.
--@ join-subject, date-parts, where-levels, distinct-subject, count-rows
SELECT date_trunc('year', po.procedure_date) AS year, p.gender_concept_id AS sex,
       count(*) AS procedures, count(DISTINCT p.person_id) AS patients
FROM omop.procedure_occurrence po JOIN omop.person p ON p.person_id = po.person_id
WHERE po.procedure_date >= DATE '2010-01-01'
GROUP BY 1, 2 ORDER BY 1, 2

--? 42 omop subject=co.person_id
--: Diagnoses that were recorded during inpatient visits.
--@ join-link, where-codes, distinct-subject, count-rows
SELECT v.visit_concept_id, count(DISTINCT co.person_id) AS patients, count(*) AS diagnoses
FROM omop.condition_occurrence co JOIN omop.visit_occurrence v ON v.visit_occurrence_id = co.visit_occurrence_id
WHERE v.visit_concept_id = 9201
GROUP BY v.visit_concept_id

--? 43 omop subject=p.person_id
--: Patients who took aspirin before their first stroke and those who did not.
--@ cte, first-event, distinct-subject
--! test-groups, days-bounds
--+ two queries with `EXISTS` and `NOT EXISTS` relative to the first stroke
WITH stroke AS (
  SELECT person_id, min(condition_start_date) AS stroke_date
  FROM omop.condition_occurrence WHERE condition_concept_id = 381316 GROUP BY person_id
)
SELECT CASE WHEN EXISTS (SELECT 1 FROM omop.drug_exposure d
                         WHERE d.person_id = p.person_id AND d.drug_concept_id = 19059056
                           AND d.drug_exposure_start_date < p.stroke_date)
            THEN 'aspirin before' ELSE 'no aspirin before' END AS aspirin, count(*) AS patients
FROM stroke p GROUP BY 1

--? 44 omop subject=p.person_id
--: Patients with an appendectomy by age group at the procedure, since 1980.
--@ join-subject, where-codes, where-levels, case-groups, count-rows
--! age-at-event
--+ the same by `band(p.year_of_birth)`
SELECT CASE WHEN date_part('year', po.procedure_date) - p.year_of_birth < 18 THEN 'child'
            WHEN date_part('year', po.procedure_date) - p.year_of_birth < 65 THEN 'adult'
            ELSE 'senior' END AS age_group, count(*) AS appendectomies
FROM omop.procedure_occurrence po JOIN omop.person p ON p.person_id = po.person_id
WHERE po.procedure_concept_id = 4198190 AND po.procedure_date >= DATE '1980-01-01'
GROUP BY 1
