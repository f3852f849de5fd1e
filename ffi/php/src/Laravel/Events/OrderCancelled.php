<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** An unpaid order was cancelled; its units can be held again. */
final class OrderCancelled extends Message
{
}
