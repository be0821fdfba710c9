/* Characters without their case: Unicode's simple case folding (C and S of CaseFolding.txt), one character for one.
 * Nothing is decomposed: a letter with its mark is another text than the letter and the mark behind it. */
#ifndef TEXT_FOLD_H
#define TEXT_FOLD_H

#include <stdint.h>

uint32_t mailsrv__fold(uint32_t c);

#endif
