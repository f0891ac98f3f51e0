-- title zh-CN: 各类来电
-- title en: Calls by kind
-- param since date
-- param street reference
-- column kind text 类别 | Kind
-- column calls integer 来电 | Calls
-- column open integer 未办结 | Open
SELECT i.name_zh AS kind, count(*) AS calls, sum(CASE WHEN c.closed_at IS NULL THEN 1 ELSE 0 END) AS open
FROM @call c JOIN @core.dictionary_item i ON i.code = c.kind JOIN @core.dictionary d ON d.id = i.dictionary AND d.code = 'hotline.kind'
WHERE (:since IS NULL OR c.day >= :since) AND (:street IS NULL OR c.street = :street)
GROUP BY i.name_zh ORDER BY calls DESC, kind
