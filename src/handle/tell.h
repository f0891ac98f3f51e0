/* tell.h - people hear of their tasks and of deadlines: notices made from the room's own messages.
 *
 * case.moved: who may take a new task, or has one that was handed over or urged.  sla.warned, sla.breached:
 * who works on the case, and for a breach the manager of the service too.  Nobody is told of what they did
 * themselves.  Layer: handle. */
#pragma once
#include "handle/handle.h"

/* Registers the consumers; nothing without an outbox and a notify.  Before the outbox starts. */
MUST_CHECK enum err_code tell_register(struct handle *handle, struct err *err);
