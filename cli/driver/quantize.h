/* Programs ready to run, their weights as the common flags want them: with
 * --quantize those of matmuls become blocks of 8 or 4 bits (quantize.c). */
#pragma once
#include "cli/common/common.h"
#include "codegen/program/program.h"

/* Compiles g and loads its weights from s. NULL with err set; so also where
 * --quantize finds no weight to take. */
Program *program_open(const Graph *g, const Common *common,
                      const CpuOptions *o, const WeightSource *s, Err *err);
