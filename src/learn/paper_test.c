#include "learn/paper.h"
#include "test.h"

#include <math.h>

static struct paper *sample(void)
{
    return paper_new(&(struct paper_config) { .title = STR("运维服务月报"),
                                              .header = STR("运维服务月报"),
                                              .footer = STR("许昌市政府门户网站"),
                                              .page_format = STR("第 {page} 页，共 {pages} 页") });
}

static int count(const struct buf *pdf, const char *what)
{
    int found = 0;
    struct str rest = buf_get(pdf);
    for (ptrdiff_t at; (at = str_find(rest, str_from(what))) >= 0; found++)
        rest = str_slice(rest, (size_t)at + 1, rest.len);
    return found;
}

static void test_everything_on_it(void **state)
{
    (void)state;
    struct paper *paper = sample();
    struct buf pdf;
    struct err err;
    buf_init(&pdf, 16 << 20);
    paper_title(paper, STR("运维服务月报"), STR("2026 年 11 月　许昌市政府门户网站群集约化平台"));
    paper_figures(
        paper, (struct paper_figure[]) { { STR("99.95 %"), STR("可用率") }, { STR("3"), STR("告警") } }, 2);
    paper_heading(paper, 1, STR("一、可用率"));
    const struct str labels[] = { STR("1"), STR("2"), STR("3") };
    const double values[] = { 99.9, NAN, 98.2 };
    paper_bars(paper,
               &(struct paper_chart) { STR("每日可用率"), STR("%"), labels, values, 3, 95, 100, 99.9, 2 });
    paper_bars(paper, &(struct paper_chart) { STR("告警"), STR("条"), labels, values, 3, 0, 0, NAN, 0 });
    paper_text(paper, STR("本月服务按约定提供。"));
    const struct paper_column columns[] = { { STR("编号"), 1, PAPER_LEFT },
                                            { STR("事项"), 3, PAPER_LEFT },
                                            { STR("用时"), 1, PAPER_RIGHT } };
    struct str cells[300];
    for (int i = 0; i < 300; i++)
        cells[i] = i % 3 == 1 ? STR("网站首页打不开，重启应用后恢复；原因为连接池耗尽，已调整上限并加监控")
                              : STR("GZ-1");
    paper_table(paper, columns, 3, cells, 100, STR("无"));
    paper_table(paper, columns, 3, NULL, 0, STR("无"));
    paper_signature(paper, STR("服务经理"), STR("日期"));
    test_ok(paper_finish(paper, &pdf, &err) == ERR_OK, "finishes: %s", err.id);
    test_ok(str_starts(buf_get(&pdf), STR("%PDF-")), "is a PDF");
    const int pages = count(&pdf, "/Type /Page") - count(&pdf, "/Type /Pages");
    test_ok(pages >= 4 && pages <= 8, "%d pages", pages);
    test_ok(count(&pdf, "FontFile") > 0, "the font is in it");
    const char *keep = getenv("PAPER_TEST_FILE");
    FILE *file = keep ? fopen(keep, "w") : NULL;
    if (file) {
        (void)fwrite(pdf.ptr, 1, pdf.len, file);
        (void)fclose(file);
    }
    buf_done(&pdf);
    paper_free(paper);
}

static void test_long_text_goes_over_pages(void **state)
{
    (void)state;
    struct paper *paper = sample();
    struct buf pdf, text;
    struct err err;
    buf_init(&pdf, 16 << 20);
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 3000; i++)
        buf_text(&text, "巡检发现磁盘空间不足。");
    paper_text(paper, buf_get(&text));
    paper_text(paper, (struct str) { "\xff\xfe", 2 }); /* no text at all: shown as nothing */
    test_ok(paper_finish(paper, &pdf, &err) == ERR_OK, "finishes");
    test_ok(count(&pdf, "/Type /Page") - count(&pdf, "/Type /Pages") > 10, "many pages");
    buf_done(&text);
    buf_done(&pdf);
    paper_free(paper);
}

static void test_limits(void **state)
{
    (void)state;
    struct paper *paper = sample();
    struct buf pdf;
    struct err err;
    buf_init(&pdf, 100);
    test_ok(paper_finish(paper, &pdf, &err) == ERR_LIMIT, "the buffer is full");
    buf_done(&pdf);
    struct str cell = STR("x");
    const struct paper_column column = { STR("x"), 1, PAPER_LEFT };
    for (int i = 0; i < PAPER_PAGES_MAX * 70; i++)
        paper_table(paper, &column, 1, &cell, 1, STR(""));
    buf_init(&pdf, 1 << 26);
    test_ok(paper_finish(paper, &pdf, &err) == ERR_LIMIT && err.args[0].number == PAPER_PAGES_MAX,
            "too many pages");
    buf_done(&pdf);
    paper_free(paper);
}

TEST_MAIN(TEST(test_everything_on_it), TEST(test_long_text_goes_over_pages), TEST(test_limits))
