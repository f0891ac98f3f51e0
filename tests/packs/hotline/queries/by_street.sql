-- title zh-CN: 各街道来电
-- title en: Calls by street office
-- param kind text
-- column street text 街道 | Street office
-- column calls integer 来电 | Calls
-- column open integer 未办结 | Open
-- column satisfied number 满意率 | Satisfied, per cent
SELECT s.name AS street, count(*) AS calls, sum(CASE WHEN c.closed_at IS NULL THEN 1 ELSE 0 END) AS open,
       avg(c.satisfied * 100.0) AS satisfied
FROM @call c JOIN @street s ON s.id = c.street
WHERE :kind IS NULL OR c.kind = :kind
GROUP BY s.name ORDER BY calls DESC, street
