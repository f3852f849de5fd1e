<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A hold was given up; its units can be held again. */
final class HoldReleased extends Message
{
}
