/* Schedules as the user pins them (pins.c). */
#pragma once
#include "compiler/lang/lang.h"
#include "cli/common/common.h"
#include "codegen/program/program.h"

/* All of a spec's files; false: mistakes were reported. */
bool pins_of_spec(Pins *p, const Spec *s);
/* Those of the spec (NULL: none), then those of --schedule, which have their
 * way, into p; its arena is set. False with err set. */
bool pins_open(Pins *p, const Spec *s, const Common *common, Err *err);
/* Notes which of --schedule no compiled kernel had the shape of. */
void pins_close(const Pins *p, const Common *common);
