-- title zh-CN: 可用性（按日）
-- title en: Availability by day
-- param service reference required
-- param since integer
-- permission ops.service.read
-- column day integer 日（1970 年起） | Day (since 1970)
-- column samples integer 采样 | Samples
-- column up integer 正常 | Up
-- column maintenance integer 维护窗口内 | In maintenance windows
-- column counted integer 计入 | Counted
-- column counted_up integer 计入且正常 | Counted and up
SELECT a.day AS day, sum(a.total) AS samples, sum(a.up) AS up, sum(a.maint_total) AS maintenance,
  sum(CASE WHEN s.maintenance = 'counted' THEN a.total ELSE a.total - a.maint_total END) AS counted,
  sum(CASE WHEN s.maintenance = 'counted' THEN a.up ELSE a.up - a.maint_up END) AS counted_up
FROM @availability_day a JOIN @service s ON s.id = a.service
WHERE a.service = :service AND (:since IS NULL OR a.day >= :since)
GROUP BY a.day ORDER BY a.day
