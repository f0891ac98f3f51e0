-- title zh-CN: 来电明细
-- title en: Calls in detail
-- param since date
-- param kind text
-- param street reference
-- column id reference 来电 | Call
-- column number text 编号 | Number
-- column grade integer 等级 | Grade
-- column title text 诉求 | Request
-- column state text 状态 | State
-- column day date 日期 | Day
-- column opened_at instant 受理时间 | Taken
-- column people integer 人数 | People
-- column share number 人数占比 | Share of people
-- column cost integer 处置费用 | Cost
-- limit 200
SELECT c.id AS id, c.number AS number, CASE WHEN c.urgent = 1 THEN 1 ELSE 4 END AS grade, c.title AS title, c.state AS state, c.day AS day,
       c.opened_at AS opened_at, c.people AS people, c.people * 100.0 / nullif(sum(c.people) OVER (), 0) AS share, c.cost AS cost
FROM @call c
WHERE (:since IS NULL OR c.day >= :since) AND (:kind IS NULL OR c.kind = :kind) AND (:street IS NULL OR c.street = :street)
ORDER BY c.opened_at DESC
