/* wheel.c - see loop.h */
#include "observe/collect/loop.h"

void wheel_init(struct wheel *wheel, int64_t now_ms)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->now_ms = now_ms;
}

void timer_set(struct wheel *wheel, struct timer *timer, int64_t due_ms)
{
    timer_stop(timer);
    if (due_ms <= wheel->now_ms)
        due_ms = wheel->now_ms + 1;
    const size_t slot = (size_t)due_ms & (WHEEL_SLOTS - 1);
    timer->due_ms = due_ms;
    timer->next = wheel->slots[slot];
    timer->link = &wheel->slots[slot];
    if (timer->next)
        timer->next->link = &timer->next;
    wheel->slots[slot] = timer;
    wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void timer_stop(struct timer *timer)
{
    if (!timer->link)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
    timer->next = NULL;
}

/* Fires what is due in one slot.  A function may stop or set any timer, so each round starts anew: what is
 * due moves to a list of its own first. */
static void fire(struct wheel *wheel, size_t slot, int64_t now_ms)
{
    struct timer *due = NULL;
    for (struct timer *timer = wheel->slots[slot], *next; timer; timer = next) {
        next = timer->next;
        if (timer->due_ms > now_ms)
            continue;
        timer_stop(timer);
        timer->next = due;
        timer->link = &due;
        if (due)
            due->link = &timer->next;
        due = timer;
    }
    if (!wheel->slots[slot])
        wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    while (due) {
        struct timer *timer = due;
        timer_stop(timer);
        timer->fn(timer);
    }
}

void wheel_turn(struct wheel *wheel, int64_t now_ms)
{
    int64_t at = wheel->now_ms + 1;
    if (now_ms - at >= WHEEL_SLOTS) /* a long sleep: each slot once is enough */
        at = now_ms - WHEEL_SLOTS + 1;
    for (; at <= now_ms; at++) {
        const size_t slot = (size_t)at & (WHEEL_SLOTS - 1);
        wheel->now_ms = at;
        if (wheel->used[slot / 64] >> (slot % 64) & 1)
            fire(wheel, slot, at > now_ms ? at : now_ms);
    }
}

int wheel_wait(const struct wheel *wheel, int64_t now_ms, int max)
{
    if (wheel->now_ms < now_ms)
        return 0;
    for (int ahead = 1; ahead <= max && ahead < WHEEL_SLOTS;) {
        const size_t slot = (size_t)(wheel->now_ms + ahead) & (WHEEL_SLOTS - 1);
        const uint64_t word = wheel->used[slot / 64] >> (slot % 64);
        if (word & 1)
            return ahead;
        ahead += word ? __builtin_ctzll(word) : 64 - (int)(slot % 64);
    }
    return max;
}
