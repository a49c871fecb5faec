/* Room tools: pictures and pages of models, benches, exploration. */
#pragma once
#include "cli/tools/html.h"
#include "cli/tools/subject.h"
#include "cli/tools/svg.h"
