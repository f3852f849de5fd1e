<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Units were held. */
final class HoldCreated extends Message
{
}
