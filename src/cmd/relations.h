/* relations.h - what queries of packs may name besides record types: tables of the rooms. */
#pragma once
#include "platform/query/query.h"

/* Ends with a NULL name. */
extern const struct query_relation QUERY_RELATIONS[];
