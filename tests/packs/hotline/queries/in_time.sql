-- title zh-CN: 来电与满意率
-- title en: Calls and satisfaction
-- param since date
-- param kind text
-- param street reference
-- column calls integer 来电 | Calls
-- column satisfied number 满意率 | Satisfied, per cent
SELECT count(*) AS calls, avg(c.satisfied * 100.0) AS satisfied
FROM @call c
WHERE (:since IS NULL OR c.day >= :since) AND (:kind IS NULL OR c.kind = :kind) AND (:street IS NULL OR c.street = :street)
