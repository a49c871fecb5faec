/* Private to the room: a run as a page (report.c). */
#pragma once
#include "cli/train/run.h"

/* Writes OUT.run/report.html anew, from the log and what was measured. */
bool report_write(Run *run, Err *err);
