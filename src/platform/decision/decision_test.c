#include "test.h"
#include "teststore.h"

#include "crypto/crypto.h"
#include "platform/decision/decision.h"
#include "platform/decision/internal.h"

#include <stdio.h>
#include <unistd.h>

TEST_MAIN(NULL)
