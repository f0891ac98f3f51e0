/* pack_check.h - what the newest pack shows: its menu, its pages, and the permissions that it names.
 *
 * Layer: cmd. */
#pragma once
#include "platform/entity/entity.h"

/* Of the last of the packs: menu entries lead to types and pages that are there; pages are what
 * docs/page.schema.json says, and name queries, types and fields that are there; permissions of menu, pages
 * and queries are those of a route or a type.  What is wrong goes to `findings` with file, line and column.
 */
MUST_CHECK enum err_code pack_check_shown(const struct packs *packs, const struct entity *entity,
                                          struct findings *findings, struct err *err);
