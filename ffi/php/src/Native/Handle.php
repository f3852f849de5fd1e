<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI\CData;
use Stockade\Exception\Misuse;

/**
 * An engine's handle in the library: freed once, after the last call that uses
 * it.
 *
 * Calls nest, in a signal handler or in a destructor
 * run by the cycle collector, and the inner one may close the engine. So a
 * reference count tracks active calls, and the last one frees the handle.
 */
final class Handle
{
    /**
     * The pointers by handle number. Not properties: a dump of
     * an engine would dereference them, and == cannot compare them.
     *
     * @var array<int, CData>
     */
    private static array $pointers = [];
    private static int $count = 0;

    /** The first property, by which == distinguishes handles. */
    private readonly int $number;
    private int $calls = 0;
    private bool $isClosed = false;

    public function __construct(CData $pointer)
    {
        $this->number = ++self::$count;
        self::$pointers[$this->number] = $pointer;
    }

    public function isClosed(): bool
    {
        return $this->isClosed;
    }

    /** Returns the pointer for a call, which must leave when done. */
    public function enter(): CData
    {
        // Increment first: a close from here on defers freeing to this call.
        $this->calls++;
        $pointer = $this->isClosed ? null : (self::$pointers[$this->number] ?? null);
        if ($pointer === null) {
            $this->leave();
            throw Misuse::because('the engine is closed');
        }
        return $pointer;
    }

    public function leave(): void
    {
        $this->calls--;
        $this->freeUnused();
    }

    /** Lets no call in any more, and frees the handle when the last has left. */
    public function close(): void
    {
        $this->isClosed = true;
        $this->freeUnused();
    }

    private function freeUnused(): void
    {
        if (!$this->isClosed || $this->calls > 0) {
            return;
        }
        // Out of the list before it is freed: the next caller finds nothing.
        $pointer = self::$pointers[$this->number] ?? null;
        unset(self::$pointers[$this->number]);
        if ($pointer !== null) {
            Library::ffi()->stockade_engine_free($pointer);
        }
    }
}
