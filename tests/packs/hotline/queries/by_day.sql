-- title zh-CN: 每日来电
-- title en: Calls by day
-- param since date
-- param kind text
-- param street reference
-- column day date 日期 | Day
-- column calls integer 来电 | Calls
-- column urgent integer 紧急 | Urgent
SELECT c.day AS day, count(*) AS calls, sum(CASE WHEN c.urgent = 1 THEN 1 ELSE 0 END) AS urgent
FROM @call c
WHERE c.day IS NOT NULL AND (:since IS NULL OR c.day >= :since) AND (:kind IS NULL OR c.kind = :kind)
  AND (:street IS NULL OR c.street = :street)
GROUP BY c.day ORDER BY c.day
