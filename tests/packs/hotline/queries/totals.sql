-- title zh-CN: 来电总数
-- title en: All calls
-- column calls integer 来电 | Calls
-- column callers integer 来电人 | Callers
SELECT count(*) AS calls, count(DISTINCT c.caller) AS callers FROM @case k JOIN @call c ON c.id = k.id
