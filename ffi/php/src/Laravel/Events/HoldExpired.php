<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A hold ended without an order; its units can be held again. */
final class HoldExpired extends Message
{
}
