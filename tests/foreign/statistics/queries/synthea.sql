--# Queries over Synthea's tables: 27 patients, so that most groups are small. `query.py` explains the form.

--? 45 synthea subject=Id
--: Patients by sex and race.
--@ count-rows, group-column
SELECT gender, race, count(*) AS n FROM synthea.patients GROUP BY gender, race ORDER BY n DESC

--? 46 synthea subject=patient
--: Encounters by class: number, patients and mean cost.
--@ count-rows, distinct-subject, group-column, moments
SELECT encounterclass, count(*) AS n, count(DISTINCT patient) AS patients, avg(total_claim_cost) AS mean_cost
FROM synthea.encounters GROUP BY encounterclass ORDER BY n DESC

--? 47 synthea subject=p.Id
--: Patients with hypertension, by sex.
--@ join-subject, distinct-subject, group-column, where-codes
SELECT p.gender, count(DISTINCT p.Id) AS patients
FROM synthea.patients p JOIN synthea.conditions c ON c.patient = p.Id
WHERE c.description = 'Hypertension'
GROUP BY p.gender

--? 48 synthea subject=patient
--: Patients with any condition whose name mentions diabetes.
--@ distinct-subject
--! code-expression
--+ the same with `code IN (...)`
SELECT count(DISTINCT patient) AS patients FROM synthea.conditions WHERE lower(description) LIKE '%diabetes%'

--? 49 synthea subject=patient
--: Mean body mass index and blood pressure, from the table of observations.
--@ where-codes, group-column, moments, distinct-subject
--! value-by-code, text-measure
SELECT description, units, count(DISTINCT patient) AS patients, avg(CAST(value AS DOUBLE)) AS mean, stddev(CAST(value AS DOUBLE)) AS sd
FROM synthea.observations WHERE code IN ('39156-5', '8480-6', '8462-4')
GROUP BY description, units

--? 50 synthea subject=patient
--: Patients with a systolic blood pressure of 140 and more.
--@ where-codes, distinct-subject
--! value-by-code, text-measure, off-edge
SELECT count(DISTINCT patient) AS patients FROM synthea.observations
WHERE code = '8480-6' AND CAST(value AS DOUBLE) >= 140

--? 51 synthea subject=p.Id
--: Healthcare expenses by sex: mean, deviation and quartiles.
--@ moments, quantile, group-column
SELECT gender, avg(healthcare_expenses) AS mean, stddev(healthcare_expenses) AS sd,
       percentile_cont(0.25) WITHIN GROUP (ORDER BY healthcare_expenses) AS q1,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY healthcare_expenses) AS q2,
       percentile_cont(0.75) WITHIN GROUP (ORDER BY healthcare_expenses) AS q3
FROM synthea.patients p GROUP BY gender

--? 52 synthea subject=e.patient
--: Cost of encounters by payer.
--@ join-reference, moments, distinct-subject, group-column, order-limit
SELECT y.name AS payer, count(DISTINCT e.patient) AS patients, sum(e.total_claim_cost) AS cost, sum(e.payer_coverage) AS covered
FROM synthea.encounters e JOIN synthea.payers y ON y.Id = e.payer
GROUP BY y.name ORDER BY cost DESC

--? 53 synthea subject=e.patient
--: Out-of-pocket cost by class of encounter.
--@ group-column, moments
--! linear-measure
--+ SELECT encounterclass, sum(total_claim_cost) - sum(payer_coverage) AS paid FROM synthea.encounters GROUP BY encounterclass
SELECT encounterclass, avg(total_claim_cost - payer_coverage) AS mean_paid, sum(total_claim_cost - payer_coverage) AS paid
FROM synthea.encounters e GROUP BY encounterclass

--? 54 synthea subject=patient
--: Mean length of an encounter in hours, by class.
--@ group-column, moments
--! days-measure
SELECT encounterclass, avg(EXTRACT(EPOCH FROM stop - start)) / 3600 AS hours
FROM synthea.encounters GROUP BY encounterclass

--? 55 synthea subject=m.patient
--: Patients with an opioid prescription who have a diagnosis of chronic pain.
--@ semi-join, distinct-subject
--! code-expression
--+ the same with `m.code IN (...)`
SELECT count(DISTINCT m.patient) AS patients
FROM synthea.medications m
WHERE (m.description ILIKE '%hydrocodone%' OR m.description ILIKE '%oxycodone%')
  AND m.patient IN (SELECT patient FROM synthea.conditions WHERE description = 'Chronic pain')

--? 56 synthea subject=p.Id
--: Living and dead patients, with mean expenses.
--@ count-rows, moments, null-tests
--! condition-groups
--+ two queries with `IS NULL` and `IS NOT NULL`
SELECT deathdate IS NOT NULL AS dead, count(*) AS n, avg(healthcare_expenses) AS mean_expenses
FROM synthea.patients p GROUP BY 1

--? 57 synthea subject=patient
--: Patients with more than ten encounters.
--@ event-count
--! subject-groups, off-edge
--+ SELECT count(*) AS n FROM synthea.patients p WHERE p.Id IN (SELECT patient FROM synthea.encounters GROUP BY patient HAVING count(*) >= 10)
SELECT count(*) AS patients
FROM (SELECT patient, count(*) AS n FROM synthea.encounters GROUP BY patient HAVING count(*) > 10) AS frequent

--? 58 synthea subject=e.patient
--: Encounters by specialty of the provider.
--@ join-reference, count-rows, distinct-subject, order-limit
--! group-codes
--+ the same with `pr.speciality IN (...)`
SELECT pr.speciality, count(*) AS encounters, count(DISTINCT e.patient) AS patients
FROM synthea.encounters e JOIN synthea.providers pr ON pr.Id = e.provider
GROUP BY pr.speciality ORDER BY encounters DESC

--? 59 synthea subject=p.Id
--: Age of patients today, in groups.
--@ count-rows, case-groups
--! age-at-event, current-date
--+ SELECT band(birthdate) AS born, count(*) AS n FROM synthea.patients GROUP BY 1
SELECT CASE WHEN date_part('year', current_date) - date_part('year', p.birthdate) < 18 THEN 'under 18'
            WHEN date_part('year', current_date) - date_part('year', p.birthdate) < 65 THEN '18-64'
            ELSE '65+' END AS age_group, count(*) AS n
FROM synthea.patients p WHERE p.deathdate IS NULL GROUP BY 1

--? 60 synthea subject=c.patient
--: Emergency encounters within 30 days after a diagnosis, with any payer, since 2010.
--@ join-events, within-days, where-levels, where-codes, distinct-subject
--! date-cast
--+ the same with `e.start BETWEEN c.start AND c.start + INTERVAL '30' DAY`
SELECT count(DISTINCT c.patient) AS patients
FROM synthea.conditions c JOIN synthea.encounters e ON e.patient = c.patient
WHERE e.encounterclass = 'emergency' AND c.start >= DATE '2010-01-01'
  AND CAST(e.start AS DATE) - c.start BETWEEN 0 AND 30
