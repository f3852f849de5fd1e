<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Units of a refunded order can be held again. */
final class OrderRestocked extends Message
{
}
