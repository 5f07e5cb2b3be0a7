/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What ListTimers says; org.sentryd1(5) has it in words: pid, kind, id, clock, armed, ns left or -1, interval in ns,
 * overrun, how it notifies. */
#define TIMER_STRUCT_CONTENTS "usisbxxts"
#define TIMER_STRUCT "(" TIMER_STRUCT_CONTENTS ")"
#define TIMER_SIGNATURE "a" TIMER_STRUCT
